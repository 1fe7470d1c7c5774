"""Several pictures to a record in one column of a plain table."""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from rankfield.errors import DataError
from rankfield.formats.guesses import guess_modality
from rankfield.io.table import Table
from rankfield.io.text_values import MARK

__all__ = ["PICTURE_TYPES", "list_column", "picture_column", "with_lists"]

PICTURE_TYPES = (pl.String, pl.Binary, pl.List(pl.String), pl.List(pl.Binary))
"""What a column of pictures may hold: paths, bytes, or lists of them."""
_DIVIDER = "|"


def with_lists(table: Table) -> Iterator[pl.Series]:
    """Yield the columns, arrays that look like pictures as lists, for guessing the fields.

    Other arrays of JSON Lines stay JSON text, which may be a text field.
    """
    for column in table.each_column():
        yield _as_list(column)


def list_column(table: Table, name: str) -> pl.Series:
    """Return a column; if it holds arrays that look like pictures, as lists."""
    return _as_list(table.column(name))


def _as_list(column: pl.Series) -> pl.Series:
    lists = _read_lists(column)
    pictures = lists is not column and guess_modality(lists.to_frame(), column.name) == "image"
    return lists if pictures else column


def picture_column(table: Table, name: str, *, divided: bool) -> pl.Series:
    """Return the column of an image field: paths or bytes, one a record or a list of them.

    Args:
        table: where it was read.
        name: the column.
        divided: a text holds several paths with "|" between them; blanks around each are dropped.

    Raises:
        DataError: the column holds something else.
    """
    column = _read_lists(table.column(name))
    if divided and column.dtype == pl.String:
        paths = column.str.split(_DIVIDER).list.eval(pl.element().str.strip_chars())
        return paths.list.eval(pl.element().filter(pl.element() != ""))
    if column.dtype.is_nested() and column.dtype not in PICTURE_TYPES:
        raise DataError(
            f"expected paths or the bytes of pictures, or lists of them, found {column.dtype}",
            where=f"{table.path}, column {name!r}",
        )
    return column if column.dtype in PICTURE_TYPES else column.cast(pl.String)


def _read_lists(column: pl.Series) -> pl.Series:
    """Return a column with JSON Lines' arrays as lists, and Parquet's fixed-size arrays too.

    `read_table` keeps an array as its JSON text. A column with an array of nothing but texts and
    nulls becomes a list column, in which any other text is a list of one.
    """
    if isinstance(column.dtype, pl.Array):
        return column.arr.to_list()
    if column.dtype != pl.String or not column.str.starts_with(MARK).any():
        return column
    lists = [None if value is None else _array(value) for value in column]
    if not any(items is not None for items in lists):
        return column
    whole = [
        [value] if items is None and value is not None else items
        for value, items in zip(column, lists, strict=True)
    ]
    return pl.Series(column.name, whole, dtype=pl.List(pl.String))


def _array(value: str) -> list[str | None] | None:
    """Return the texts of a JSON array, or None of anything else."""
    if not value.startswith(MARK):
        return None
    items = json.loads(value.removeprefix(MARK))
    fits = isinstance(items, list) and all(i is None or isinstance(i, str) for i in items)
    return items if fits else None
