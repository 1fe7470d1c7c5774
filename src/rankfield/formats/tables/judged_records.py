"""The records that judgments name: by id, by another column of theirs, queries by their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from rankfield.column_names import QUERY_TEXTS, find_column, free_name
from rankfield.errors import DataError
from rankfield.formats.assemble import Source
from rankfield.formats.tables.query_texts import query_ids, same_query
from rankfield.io.table import Table
from rankfield.io.text_values import require_texts, text_expression
from rankfield.messages import listed, more

__all__ = ["name_judged_records", "queries_of_judgments"]

_KEY = "\0key"
_LOOKED_AT = 10_000
"""Judgments by whose values it is decided what a column names."""


@dataclass(frozen=True)
class _Side:
    """A table of records, as judgments refer to it."""

    table: str
    standard: str
    one: str

    def key(self, table: Table, column: str) -> pl.Expr:
        """Return a column as text, texts of queries as they are told apart."""
        text = text_expression(column, table.schema[column])
        return same_query(text) if self.table == "queries" else text.str.strip_chars()


_SIDES = {
    "query_id": _Side("queries", "query_id", "query"),
    "doc_id": _Side("documents", "doc_id", "document"),
}


def name_judged_records(source: Source, standard: str, column: str) -> None:
    """Give the judgments the ids of the records that one of their columns names.

    The column holds ids, unless a column of the records other than their id has its name, in any
    spelling, and holds as many of its values, or holds all of its values while no id is among them
    (of the first 10,000 judgments). Then the judgments are joined by that column; texts of queries
    by `query_texts.same_query`.

    Args:
        source: its judgments are replaced, and its notes grow.
        standard: "query_id" or "doc_id", which the records have already.
        column: of the judgments.

    Raises:
        DataError: a value is that of no record, or of several.
    """
    side = _SIDES[standard]
    judgments, records = source.tables["judgments"], source.tables[side.table]
    key = _key_column(judgments, records, column, side)
    if key is not None:
        source.tables["judgments"] = _joined(judgments, records, column, key, side)
        source.notes.append(f"judgments: {column!r} is {key!r} of the {side.table}, joined by it")
    elif column != standard:
        renamed = _aside(judgments, standard) | {column: standard}
        source.tables["judgments"] = judgments.rename(renamed)
        source.notes.append(f"judgments: column {column!r} is the {standard}")


def _key_column(judgments: Table, records: Table, column: str, side: _Side) -> str | None:
    """Return the column of the records that the judgments' column refers to; None for their ids."""
    others = [
        name
        for name, kind in records.schema.items()
        if name != side.standard and (kind == pl.String or kind.is_integer())
    ]
    if judgments.schema[column].is_nested():
        return None
    named = judgments.lazy().head(_LOOKED_AT).select(side.key(judgments, column).alias(_KEY))
    values = named.drop_nulls().unique().collect()

    def held(name: str) -> int:
        own = records.lazy().select(side.key(records, name).alias(_KEY))
        return values.lazy().join(own, on=_KEY, how="semi").collect().height

    ids = held(side.standard)
    same = find_column(others, [column, *_texts(column, side)], where=str(records.path))
    if same is not None and held(same) >= ids:
        return same
    holding = [] if ids else [name for name in others if held(name) == values.height]
    return holding[0] if len(holding) == 1 else None


def _texts(column: str, side: _Side) -> Sequence[str]:
    """Return what the texts of queries may be called there, if the column is called so here."""
    usual = side.table == "queries" and find_column([column], QUERY_TEXTS)
    return (*QUERY_TEXTS, "text", "question", "title") if usual else ()


def _joined(judgments: Table, records: Table, column: str, key: str, side: _Side) -> Table:
    """Return the judgments with the ids of the records whose `key` their `column` holds."""
    require_texts(judgments.lazy(), {column: judgments.schema[column]}, judgments.where)
    ids = text_expression(side.standard, records.schema[side.standard]).alias(side.standard)
    own = records.lazy().select(side.key(records, key).alias(_KEY), ids).drop_nulls()
    rows = judgments.lazy().with_columns(side.key(judgments, column).alias(_KEY))
    judged = rows.select(_KEY).unique()
    known = own.join(judged, on=_KEY, how="semi", maintain_order="left").collect()
    _require_one_each(known, records, key, side)
    aside = _aside(judgments, side.standard)
    joined = (
        rows.rename(aside).join(known.lazy(), on=_KEY, how="left", maintain_order="left").drop(_KEY)
    )
    gone = pl.col(side.standard).is_null()
    count, first = (
        joined.select(gone.sum(), pl.arg_where(gone).first().alias("first")).collect().row(0)
    )
    if count:
        value = joined.select(aside.get(column, column)).slice(first, 1).collect().item()
        option = side.standard.replace("_", "-")
        raise DataError(
            f"expected the {key} of one of the {side.table}, found "
            + ("nothing" if value is None else repr(value))
            + more(count - 1, "row"),
            where=judgments.where(first, column),
            remedy=f"Fix or remove the row, or choose the column with --{option} judgments.COLUMN.",
        )
    return replace(
        judgments, data=joined.collect() if isinstance(judgments.data, pl.DataFrame) else joined
    )


def _aside(table: Table, standard: str) -> dict[str, str]:
    """Return the new name of a column whose name is needed, if there is one."""
    return {standard: free_name(standard, table.columns)} if standard in table.columns else {}


def _require_one_each(known: pl.DataFrame, records: Table, key: str, side: _Side) -> None:
    twice = known.filter(pl.col(_KEY).is_duplicated())
    if twice.height:
        value = twice[_KEY][0]
        ids = twice.filter(pl.col(_KEY) == value)[side.standard]
        raise DataError(
            f"several {side.table} have the {key} {value!r}: {listed(ids.to_list(), 3)}",
            where=str(records.path),
            remedy=f"Name each {side.one} in the judgments by its id.",
        )


def queries_of_judgments(judgments: Table, text: str, identity: str | None) -> Table:
    """Return the queries that judgments name by their texts, where they have no table of their own.

    Args:
        judgments: the judgments.
        text: their column of texts.
        identity: their column of ids; without one the ids are `query_texts.query_ids`.

    Returns:
        query_id and query, in the order of the judgments; rows are named by the first judgment.

    Raises:
        DataError: a judgment without a text, or two texts of one id.
    """
    require_texts(judgments.lazy(), {text: judgments.schema[text]}, judgments.where)
    value = text_expression(text, judgments.schema[text])
    columns = {"query": same_query(value)}
    if identity is not None:
        columns["query_id"] = text_expression(identity, judgments.schema[identity])
    read = judgments.lazy().select(**columns).with_row_index("row").collect()
    blank = read.filter(pl.col("query").is_null() | (pl.col("query") == ""))
    if blank.height:
        raise DataError(
            "expected the text of a query, found nothing" + more(blank.height - 1, "row"),
            where=judgments.where(blank["row"][0], text),
            remedy="Fix or remove the row.",
        )
    once = read.unique(list(columns), keep="first", maintain_order=True)
    if identity is None:
        once = once.with_columns(query_ids(once["query"]))
    again = once.filter(~pl.col("query_id").is_first_distinct())
    if again.height:
        raise DataError(
            f"another text of the query {again['query_id'][0]!r} than before",
            where=judgments.where(again["row"][0], text),
            remedy="Give each query one text.",
        )
    rows = once["row"] if judgments.numbers is None else judgments.numbers.gather(once["row"])
    return Table(judgments.path, once.select("query_id", "query"), judgments.place, rows)
