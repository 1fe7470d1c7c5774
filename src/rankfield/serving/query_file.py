"""A file of queries to grade."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankfield.column_names import PLAIN_IDS, QUERY_IDS, QUERY_TEXTS, find_column
from rankfield.errors import DataError
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.query.parts import MAX_ID, MAX_TEXT
from rankfield.unicode_text import is_blank

__all__ = ["ListedQuery", "read_query_file"]


@dataclass(frozen=True)
class ListedQuery:
    """A query of a file.

    query_id: None where the file has none.
    where: its file and row, for messages.
    """

    query_id: str | None
    text: str
    where: str


def read_query_file(path: Path) -> list[ListedQuery]:
    """Return the queries of a table: a column of texts, `query`, and perhaps one of ids.

    Args:
        path: CSV, TSV, JSON Lines or Parquet.

    Raises:
        DataError: no such file, no column of texts, a row without a text, a text or id that is too
            long, or an id or, without ids, a text that is duplicated; says at which row.
    """
    table = read_table(path)
    text_name = find_column(table.columns, (*QUERY_TEXTS, "text"), where=str(path))
    if text_name is None:
        table.require_columns("query")
        raise AssertionError
    id_name = find_column(table.columns, (*QUERY_IDS, *PLAIN_IDS), where=str(path))
    found: list[ListedQuery] = []
    seen: set[str] = set()
    texts = _texts(table, text_name)
    ids = _texts(table, id_name) if id_name else [None] * len(texts)
    for row, (given, said) in enumerate(zip(ids, texts, strict=True)):
        text = _checked(said, MAX_TEXT if given else MAX_ID, table.where(row, text_name))
        query_id = _checked(given, MAX_ID, table.where(row, id_name)) if id_name else None
        identity = query_id or text
        if identity in seen:
            raise DataError(
                f"the query {identity[:100]!r} is duplicated",
                where=table.where(row, id_name or text_name),
                remedy="Remove one of them.",
            )
        seen.add(identity)
        found.append(ListedQuery(query_id, text, table.where(row)))
    return found


def _texts(table: Table, name: str) -> list[str | None]:
    """Return a column of texts, or of whole numbers as texts."""
    column = table.column(name)
    if column.dtype != pl.String and not column.dtype.is_integer():
        raise DataError(
            f"expected texts, found {column.dtype}", where=f"{table.path}, column {name!r}"
        )
    return column.cast(pl.String).to_list()


def _checked(value: str | None, most: int, where: str) -> str:
    if value is None or is_blank(value):
        raise DataError("expected a value, found nothing", where=where)
    if len(value) > most:
        raise DataError(f"expected at most {most:,} characters, found {len(value):,}", where=where)
    return value
