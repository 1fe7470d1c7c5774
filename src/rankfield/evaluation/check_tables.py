"""Whether the two tables of results fit their summary, and each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from rankfield.errors import InputError

__all__ = ["check_tables"]

_REMEDY = "Make the results again with `rankfield evaluate`."


def check_tables(
    metrics: Mapping[str, Sequence[str]],
    queries: pl.DataFrame,
    rankings: pl.DataFrame,
    *,
    where: tuple[str, str] = ("queries", "rankings"),
) -> None:
    """Refuse tables that contradict the summary, each other or themselves.

    Args:
        metrics: split → the metrics that the summary has for it.
        queries, rankings: the tables of `Results`.
        where: what to call the two in messages, such as their paths.

    Raises:
        InputError: a metric without a column of numbers; a value that is NaN or infinite; a split
            that the summary lacks; a query that occurs twice in a split; a ranked query that the
            queries lack; a rank below 1, or a rank or document twice for one query. The message
            names the first row.
    """
    _check_metrics(metrics, queries, where[0])
    keys = ["split", "query_id"]
    _refuse(queries, pl.struct(keys).is_duplicated(), "a query that occurs twice", where[0])
    for table, name in ((queries, where[0]), (rankings, where[1])):
        unknown = ~pl.col("split").is_in(list(metrics)) | pl.col("split").is_null()
        _refuse(table, unknown, f"a split other than {', '.join(metrics)}", name)
    known = rankings.select(keys).join(
        queries.select(*keys, known=pl.lit(value=True)), on=keys, how="left", maintain_order="left"
    )["known"]
    _refuse(rankings, known.is_null(), "a query_id that the queries lack", where[1])
    if "similarity" in rankings.columns:
        bad = pl.col("similarity").is_null() | ~pl.col("similarity").is_finite()
        _refuse(rankings, bad, "a similarity that is no finite number", where[1])
    _refuse(rankings, pl.col("rank").is_null() | (pl.col("rank") < 1), "a rank below 1", where[1])
    for column in ("rank", "doc_id"):
        twice = pl.struct(*keys, column).is_duplicated()
        _refuse(rankings, twice, f"a {column} that one query has twice", where[1])


def _check_metrics(metrics: Mapping[str, Sequence[str]], queries: pl.DataFrame, where: str) -> None:
    for name in dict.fromkeys(name for names in metrics.values() for name in names):
        if name not in queries.columns:
            raise InputError(f"the metric {name!r} has no column", where=where, remedy=_REMEDY)
        kind = queries.schema[name]
        if not (kind.is_numeric() or kind == pl.Null):
            raise InputError(
                f"expected numbers, found {kind}", where=f"{where}, column {name!r}", remedy=_REMEDY
            )
        if kind.is_float():
            _refuse(queries, ~pl.col(name).is_finite(), f"a {name} of NaN or infinity", where)


def _refuse(frame: pl.DataFrame, bad: pl.Expr | pl.Series, what: str, where: str) -> None:
    """Raise an error that names the first row where `bad` is true."""
    found = frame.with_row_index("row").filter(bad).head(1)
    if found.height:
        row = found.row(0, named=True)
        place = f"row {row['row']} (split {row['split']}, query_id {row['query_id']!r}"
        place += f", doc_id {row['doc_id']!r})" if "doc_id" in row else ")"
        raise InputError(f"found {what}", where=f"{where}, {place}", remedy=_REMEDY)
