"""What becomes text and how: the one rule for values that a richer file holds.

| value | as a text or an id |
|---|---|
| text, category | itself |
| null, NaN | nothing |
| number, boolean | as a text file spells it; from Parquet the shortest that reads back alike |
| date, time, decimal | as ISO 8601 and the decimal show it |
| bytes | the text, if they are UTF-8 |
| list, object | none: refused, with its row |

A list or object of a JSON Lines file is carried as its JSON text behind `MARK`, so that it is not
taken for a text that looks like it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.io.numbers import number_texts

__all__ = [
    "MARK",
    "marked",
    "require_texts",
    "text_expression",
    "text_values",
    "unmarked",
    "with_lists_of_json",
    "without_marks",
]

MARK = "\0json:"
"""What stands before the JSON text of a list or object."""


def marked(value: Any) -> str:
    """Return a list or object of JSON as text, with its mark."""
    return MARK + json.dumps(value, ensure_ascii=False)


def unmarked(name: str) -> pl.Expr:
    """Return a text column with lists and objects as plain JSON text."""
    return pl.col(name).str.strip_prefix(MARK)


def without_marks(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with lists and objects as plain JSON text."""
    return frame.with_columns(unmarked(n) for n, kind in frame.schema.items() if kind == pl.String)


def text_expression(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as text by the rule above; nested values are to be refused before."""
    column = pl.col(name)
    if dtype.is_float():
        return pl.when(column.is_not_nan()).then(number_texts(name)).alias(name)
    return column.cast(pl.String)


def require_texts(
    rows: pl.LazyFrame, columns: Mapping[str, pl.DataType], where: Callable[[int, str], str]
) -> None:
    """Look whether columns can be text; the rows pass once.

    Args:
        rows: the table.
        columns: names, and their types.
        where: names the place of a row and a column.

    Raises:
        DataError: one holds a list or an object; names the first of the first such column.
    """
    nested = {
        n: pl.col(n).is_not_null() if t.is_nested() else pl.col(n).str.starts_with(MARK)
        for n, t in columns.items()
        if t.is_nested() or t == pl.String
    }
    if not nested:
        return
    firsts = [pl.arg_where(bad.fill_null(False)).first().alias(n) for n, bad in nested.items()]
    places = rows.select(firsts).collect().row(0, named=True)
    name = next((n for n, place in places.items() if place is not None), None)
    if name is None:
        return
    found = places[name]
    value = rows.select(name).slice(found, 1).collect()[name][0]
    if isinstance(value, str):
        shown = value.removeprefix(MARK)
    else:
        shown = str(value.to_list() if isinstance(value, pl.Series) else value)
    kind = "an object" if shown.startswith("{") else "a list"
    raise DataError(
        f"expected a text, found {kind}: {shown[:60]}",
        where=where(int(found), name),
        remedy="Write one text, such as the parts joined, or choose another field.",
    )


def text_values(frame: pl.DataFrame, name: str, where: Callable[[int, str], str]) -> pl.Series:
    """Return a column as text by the rule above.

    Raises:
        DataError: as `require_texts`.
    """
    dtype = frame.schema[name]
    require_texts(frame.lazy(), {name: dtype}, where)
    return frame.select(text_expression(name, dtype))[name]


def with_lists_of_json(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a JSON Lines file with columns of lists as such, as Parquet has them.

    A column with a list of texts, numbers and nulls, and no object, becomes a list of texts; any
    other value is a list of one there.
    """
    columns = [
        _lists(column) if column.dtype == pl.String and column.str.starts_with(MARK).any() else None
        for column in frame
    ]
    return frame.with_columns(column for column in columns if column is not None)


def _lists(column: pl.Series) -> pl.Series | None:
    lists: list[list[str | None] | None] = []
    for value in column:
        if value is None:
            lists.append(None)
            continue
        if not value.startswith(MARK):
            lists.append([value])
            continue
        items = json.loads(value[len(MARK) :], parse_int=str, parse_float=str)
        if not isinstance(items, list) or any(isinstance(i, dict | list | bool) for i in items):
            return None
        lists.append(items)
    return pl.Series(column.name, lists, dtype=pl.List(pl.String))
