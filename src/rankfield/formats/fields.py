"""Fields as a user names them, or as columns look; columns of images that are multi-valued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import cast

import polars as pl

from rankfield.column_names import quoted_names
from rankfield.errors import DataError
from rankfield.formats.guesses import equal_weights, guess_fields, guess_modality
from rankfield.io.table import Table
from rankfield.io.text_values import MARK
from rankfield.messages import did_you_mean
from rankfield.schema import Field, Modality

__all__ = [
    "IMAGE_TYPES",
    "guessed_fields",
    "image_column",
    "list_column",
    "parse_fields",
    "shown_fields",
    "with_lists",
]

_MULTI_VALUED = "images"
_OPTIONS = {"queries": "--query-field", "documents": "--document-field"}


def parse_fields(
    table: Table, chosen: Sequence[Field | str]
) -> tuple[tuple[Field, ...], frozenset[str]]:
    """Return the chosen fields, and the names of those declared as "images".

    "images" is an image field whose texts hold several paths each. A modality left out is guessed;
    weights left out are those of `equal_weights`.

    Raises:
        DataError: no such column, a column of another type, a malformed text, weights for some.
    """
    fields, weighted, multi_valued = [], [], set()
    for item in chosen:
        name, modality, weight = (
            _parse_field(item) if isinstance(item, str) else (item.name, item.modality, item.weight)
        )
        if name not in table.columns:
            raise DataError(
                f"there is no column {name!r}; found {quoted_names(table.columns)}",
                where=str(table.path),
                remedy=did_you_mean(name, table.columns),
            )
        if modality == _MULTI_VALUED:
            modality = "image"
            multi_valued.add(name)
        guessed = modality or guess_modality(list_column(table, name).to_frame(), name) or "text"
        if guessed != "image" and (dtype := table.column(name).dtype).is_nested():
            raise DataError(
                f"expected text or the bytes of images, found {dtype}",
                where=f"{table.path}, column {name!r}",
            )
        fields.append(Field(name, cast(Modality, guessed), 1.0 if weight is None else weight))
        weighted.append(weight is not None)
    if any(weighted) and not all(weighted):
        raise DataError("expected a weight for every field or for none", where=str(table.path))
    whole = tuple(fields) if any(weighted) else equal_weights(fields)
    return whole, frozenset(multi_valued)


def _parse_field(text: str) -> tuple[str, str | None, float | None]:
    name, _, rest = text.partition(":")
    modality, _, weight = rest.partition(":")
    try:
        return name, modality or None, float(weight) if weight else None
    except ValueError:
        raise DataError(
            f"expected NAME:MODALITY:WEIGHT with a number as weight, found {text!r}"
        ) from None


def guessed_fields(table: Table, name: str, identity: str, notes: list[str]) -> tuple[Field, ...]:
    """Return the columns of "queries" or "documents" that look like fields, with a note.

    Raises:
        DataError: none does.
    """
    fields = guess_fields(with_lists(table), name, identity)
    if not fields:
        raise DataError(
            f"no column looks like a text or an image; found {quoted_names(table.columns)}",
            where=str(table.path),
            remedy=f"Name the columns with {_OPTIONS[name]} NAME:text or NAME:image.",
        )
    return shown_fields(fields, name, notes)


def shown_fields(fields: tuple[Field, ...], name: str, notes: list[str]) -> tuple[Field, ...]:
    """Return the fields of "queries" or "documents"; a note says which they are."""
    shown = ", ".join(f"{f.name} ({f.modality}, weight {f.weight:.3g})" for f in fields)
    notes.append(f"{name}: fields {shown}; choose others with {_OPTIONS[name]}")
    return fields


IMAGE_TYPES = (pl.String, pl.Binary, pl.List(pl.String), pl.List(pl.Binary))
"""What a column of images may hold: paths, bytes, or lists of them."""
_DIVIDER = "|"


def with_lists(table: Table) -> Iterator[pl.Series]:
    """Yield the columns, arrays that look like images as lists, for guessing the fields.

    Other arrays of JSON Lines stay JSON text, which may be a text field.
    """
    for column in table.each_column():
        yield _as_list(column)


def list_column(table: Table, name: str) -> pl.Series:
    """Return a column; if it holds arrays that look like images, as lists."""
    return _as_list(table.column(name))


def _as_list(column: pl.Series) -> pl.Series:
    lists = _read_lists(column)
    images = lists is not column and guess_modality(lists.to_frame(), column.name) == "image"
    return lists if images else column


def image_column(table: Table, name: str, *, multi_valued: bool) -> pl.Series:
    """Return the column of an image field: paths or bytes, one a record or a list of them.

    Args:
        table: where it was read.
        name: the column.
        multi_valued: a text holds several paths with "|" between them, perhaps with blanks around.

    Raises:
        DataError: the column holds something else.
    """
    column = _read_lists(table.column(name))
    if multi_valued and column.dtype == pl.String:
        paths = column.str.split(_DIVIDER).list.eval(pl.element().str.strip_chars())
        return paths.list.eval(pl.element().filter(pl.element() != ""))
    if column.dtype.is_nested() and column.dtype not in IMAGE_TYPES:
        raise DataError(
            f"expected paths or the bytes of images, or lists of them, found {column.dtype}",
            where=f"{table.path}, column {name!r}",
        )
    return column if column.dtype in IMAGE_TYPES else column.cast(pl.String)


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
