"""Splits by time: seen before a cut, unseen from it on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

from rankfield.curation.clusters import IDS
from rankfield.curation.split_keys import column_of
from rankfield.errors import SplitError
from rankfield.schema import Tables

__all__ = ["TimeRule", "earliest_times", "find_cut", "first_times", "shown_cut"]

_EPOCH = datetime(1970, 1, 1)

TimeTable = Literal["queries", "documents", "judgments"]


@dataclass(frozen=True)
class TimeRule:
    """Which column says when, and where the past ends.

    The column holds dates, times or numbers, or ISO dates or numbers as text. `cut` is the first
    moment of the future, as text; without, the past is the fraction of records that training is
    to see. Of "judgments", a query or document is of the past if it was first judged then.
    """

    table: TimeTable
    column: str
    cut: str | None = None

    @classmethod
    def parse(cls, text: str, cut: str | None = None) -> TimeRule:
        """Read "queries.asked", "documents.listed" or "judgments.clicked".

        Raises:
            SplitError: no such table, or no column.
        """
        table, _, column = text.partition(".")
        if table == "queries" and column:
            return cls("queries", column, cut)
        if table == "documents" and column:
            return cls("documents", column, cut)
        if table == "judgments" and column:
            return cls("judgments", column, cut)
        raise SplitError(
            "expected queries.COLUMN, documents.COLUMN or judgments.COLUMN, found " + repr(text),
            where="by time",
        )


def first_times(dataset: Tables, rule: TimeRule, table: str) -> pl.Series:
    """Return when each record of a table was there first: int64 or float64, null if never judged.

    Dates and times are microseconds since 1970.

    Raises:
        SplitError: no such column, not a time, or records without one.
    """
    times = _as_number(column_of(dataset, rule.table, rule.column, "split by"), rule)
    missing = times.null_count()
    if missing:
        raise SplitError(
            f"{missing:,} {rule.table} have no time in {rule.column!r}",
            where=dataset.name,
            remedy="Fill the column, or drop those rows.",
        )
    if rule.table == table:
        return times
    identity = IDS[table]
    judged = dataset.frame("judgments", [identity]).with_columns(time=times)
    first = judged.group_by(identity).agg(pl.col("time").min())
    ids = dataset.frame(table, [identity])
    return ids.join(first, on=identity, how="left", maintain_order="left")["time"]


def earliest_times(times: pl.Series, keys: pl.Series) -> pl.Series:
    """Return the earliest time of each record's group, null where none of it has one."""
    both = pl.DataFrame({"key": keys, "time": times})
    return both.select(pl.col("time").min().over("key"))["time"]


def find_cut(times: pl.Series, fraction: float, rule: TimeRule) -> float:
    """Return the first moment of the future: the rule's, or that with `fraction` before it.

    What is of one moment is never divided: fewer may be before the cut, but not none.

    Args:
        times: numbers, from `first_times` or `earliest_times`; null is left out.
        fraction: in (0, 1).
        rule: the column, and the cut if it is stated.

    Raises:
        SplitError: everything is on one side.
    """
    known = times.drop_nulls().sort()
    moments = known.unique().sort()
    if rule.cut is not None:
        stated = _read(rule.cut, rule)
        if stated is None:
            raise _not_a_time(repr(rule.cut), rule)
        cut = stated
    elif len(moments) > 1:
        place = min(max(round(fraction * len(known)), 1), len(known) - 1)
        # the first moment cannot be the cut: nothing would be before it
        cut = float(max(known[place], moments[1]))
    else:
        cut = math.inf
    before = int((known < cut).sum())
    if before in (0, len(known)):
        raise SplitError(
            f"everything is {'before' if before else 'after'} the cut, or of one moment",
            where=f"{rule.table}, column {rule.column!r}",
            remedy="Choose another cut or column.",
        )
    return cut


def shown_cut(dataset: Tables, rule: TimeRule, cut: float) -> str:
    """Return the cut as a reader knows it: as stated, as a date, or as a number."""
    if rule.cut is not None:
        return rule.cut
    column = dataset.frame(rule.table, [rule.column])[rule.column]
    dated = column.dtype in (pl.Date, pl.Datetime)
    if column.dtype == pl.String:
        dated = column.str.contains(r"^\s*\d+-\d+").any()
    if not dated:
        return f"{cut:.15g}"
    moment = _EPOCH + timedelta(microseconds=cut)
    return moment.isoformat(" ").removesuffix(" 00:00:00")


def _as_number(column: pl.Series, rule: TimeRule) -> pl.Series:
    if column.dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us")).cast(pl.Int64)
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype.is_float():
        return column.fill_nan(None)
    if column.dtype != pl.String:
        raise _not_a_time(str(column.dtype), rule)
    kinds = column.drop_nulls().unique()
    read = {text: _read(text, rule) for text in kinds}
    return column.replace_strict(read, default=None, return_dtype=pl.Float64)


def _read(text: str, rule: TimeRule) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _not_a_time(repr(text), rule) from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return float((moment - _EPOCH) / timedelta(microseconds=1))


def _not_a_time(found: str, rule: TimeRule) -> SplitError:
    return SplitError(
        f"expected dates, ISO dates as text, or numbers, found {found}",
        where=f"{rule.table}, column {rule.column!r}",
    )
