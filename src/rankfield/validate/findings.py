"""The checks of a data set's tables: each names the rows that fail it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from rankfield.engines import Engine
from rankfield.field_values import is_absent
from rankfield.schema import Part, RankingDataset, Tables
from rankfield.validate.problems import Problem, Severity

__all__ = ["Finding", "contents", "listed", "off_scale", "sound", "structure"]

_LISTED = 1000
_IDS = {"queries": "query_id", "documents": "doc_id"}


@dataclass(frozen=True)
class Finding:
    """The rows of a table that fail one check; "{}" in the message stands for the field's value."""

    table: str
    field: str
    kind: str
    rows: pl.Series
    message: str
    severity: Severity = "error"


def _rows(frame: pl.DataFrame, bad: pl.Expr) -> pl.Series:
    return frame.select(row=pl.arg_where(bad.fill_null(False)))["row"].cast(pl.UInt32)


def _missing(ids: pl.DataFrame) -> pl.Series:
    return _rows(ids, is_absent(ids.columns[0], pl.String()))


def _present(ids: pl.DataFrame, bad: pl.Expr, missing: pl.Series) -> pl.Series:
    rows = _rows(ids, bad)
    return rows.filter(~rows.is_in(missing.implode())) if len(missing) else rows


def structure(dataset: Tables) -> Iterator[Finding]:
    """Yield the errors that would make joins and scores meaningless.

    One column is in memory at a time, beside the ids it is compared with.
    """
    for table, column in _IDS.items():
        frame = dataset.frame(table, [column])
        missing = _missing(frame)
        yield Finding(table, column, "missing id", missing, "expected an id, found nothing")
        twice = _present(frame, ~pl.col(column).is_first_distinct(), missing)
        message = "the id {} occurs more than once"
        yield Finding(table, column, "duplicate id", twice, message)
    for table, column in _IDS.items():
        known = dataset.frame(table, [column])[column].drop_nulls().implode()
        judged = dataset.frame("judgments", [column])
        missing = _missing(judged)
        yield Finding("judgments", column, "missing id", missing, "expected an id, found nothing")
        unknown = _present(judged, ~pl.col(column).is_in(known), missing)
        yield Finding("judgments", column, "unknown id", unknown, f"{{}} is not among the {table}")
    del known, judged
    yield Finding(
        "judgments",
        "doc_id",
        "duplicate pair",
        _repeated_pairs(dataset),
        "the document {} is judged more than once for its query",
    )
    scores = dataset.frame("judgments", ["score"])
    bad = _rows(scores, pl.col("score").is_null() | ~pl.col("score").is_finite())
    yield Finding(
        "judgments", "score", "score not finite", bad, "expected a finite number, found {}"
    )


def sound(dataset: RankingDataset) -> bool:
    """Return whether `structure` and `off_scale` would find nothing, by row numbers.

    The tables hold each of their ids once.
    """
    if any(dataset.height(table) == 0 for table in ("queries", "documents", "judgments")):
        return False
    if any(len(_missing(dataset.frame(table, [column]))) for table, column in _IDS.items()):
        return False
    queries, documents = dataset.judged_rows()
    if min(queries.min(), documents.min()) < 0:
        return False
    keys = queries.astype(np.int64) * dataset.height("documents") + documents
    keys.sort()
    if (keys[1:] == keys[:-1]).any():
        return False
    scores = dataset.judgments["score"]
    return bool(scores.is_finite().fill_null(False).all()) and not len(off_scale(dataset).rows)


def _repeated_pairs(dataset: Tables) -> pl.Series:
    """Return the rows whose (query_id, doc_id) stands in an earlier row."""
    keys = ["query_id", "doc_id"]
    # a 64-bit hash of the pair rules out nearly all rows in little memory; the rest is compared
    parts = dataset.parts("judgments", keys)
    hashes = pl.concat(
        [pl.Series(dtype=pl.UInt64)]
        + [part.read().select(pl.struct(keys).hash()).to_series() for part in parts]
    )
    if hashes.n_unique() == len(hashes):
        return pl.Series(dtype=pl.UInt32)
    suspects = hashes.is_duplicated()
    candidates = dataset.frame("judgments", keys).with_row_index("row").filter(suspects)
    candidates = candidates.drop_nulls()
    first = candidates.unique(subset=keys, keep="first").select("row")
    return candidates.join(first, on="row", how="anti", maintain_order="left")["row"]


def contents(dataset: Tables, engine: Engine) -> Iterator[Finding]:
    """Yield what is wrong with scores and fields though the structure holds."""
    scale, score = dataset.score_scale, pl.col("score")
    yield off_scale(dataset)
    for table in _IDS:
        yield from _field_findings(dataset, table, engine)
    queries = dataset.frame("queries", ["query_id"])
    judgments = dataset.frame("judgments", ["query_id", "score"])
    judged = judgments["query_id"].drop_nulls().unique().implode()
    positive = judgments.filter(score >= scale.relevant)["query_id"].drop_nulls().unique().implode()
    known = pl.col("query_id").is_in(judged)
    for kind, bad, text in (
        ("query without judgments", ~known, "the query {} has no judgment"),
        (
            "query without a relevant document",
            known & ~pl.col("query_id").is_in(positive),
            f"the query {{}} has no score of {scale.relevant:g} or more",
        ),
    ):
        yield Finding("queries", "query_id", kind, _rows(queries, bad), text, "warning")


def off_scale(dataset: Tables) -> Finding:
    """Return the judgments whose score lies outside the stated scale, but for rounding."""
    scale, score = dataset.score_scale, pl.col("score")
    low, high = scale.limits
    return Finding(
        "judgments",
        "score",
        "score outside the scale",
        _rows(
            dataset.frame("judgments", ["score"]),
            score.is_finite() & ((score < low) | (score > high)),
        ),
        f"{{}} is outside the stated scale, {scale.minimum:g} to {scale.maximum:g}",
    )


def _field_findings(dataset: Tables, table: str, engine: Engine) -> Iterator[Finding]:
    fields = dataset.fields(table)
    if not fields:
        return
    names = [f.name for f in fields]
    look = partial(_absent, names)
    found = [pl.DataFrame(schema=dict.fromkeys(names, pl.Boolean))]
    empty = pl.concat([*found, *engine.map(look, dataset.parts(table, names))])
    nothing = pl.all_horizontal(names)
    shown = ", ".join(names)
    yield Finding(table, shown, "no field", _rows(empty, nothing), f"all fields are empty: {shown}")
    if len(fields) > 1:
        for name in names:
            rows = _rows(empty, pl.col(name) & ~nothing)
            yield Finding(table, name, "empty field", rows, "the field is empty", "warning")


def _absent(names: list[str], part: Part) -> pl.DataFrame:
    """Return for each row and field whether it is empty."""
    frame = part.read()
    return frame.select(is_absent(name, frame.schema[name]).alias(name) for name in names)


def listed(dataset: Tables, finding: Finding) -> list[Problem]:
    """Return the first 1,000 rows of a finding as problems, and one entry that counts the rest."""
    rows = finding.rows.head(_LISTED)
    values: list[object] = [None] * len(rows)
    if "{}" in finding.message:
        column = dataset.frame(finding.table, [finding.field])[finding.field]
        values = column.gather(rows).to_list()
    place = (finding.table, finding.field, finding.kind)
    problems = [
        Problem(
            place[0], row, *place[1:], finding.message.replace("{}", repr(value)), finding.severity
        )
        for row, value in zip(rows.to_list(), values, strict=True)
    ]
    more = len(finding.rows) - len(rows)
    if more:
        text = f"{more:,} more rows"
        problems.append(Problem(place[0], None, *place[1:], text, finding.severity, more))
    return problems
