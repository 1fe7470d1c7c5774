"""What a column of a table holds: one value a record, or, of images, a list of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.unicode_text import NOT_BLANK, is_blank

__all__ = ["content_bytes", "first_value", "flat_values", "is_absent", "places", "without_items"]


def flat_values(column: pl.Series) -> tuple[NDArray[np.int64], pl.Series]:
    """Return every value that is present with its row, rows ascending, a list in its own order.

    Args:
        column: N texts or bytes, or N lists of them. Null, "" and texts in which nothing can be
            seen (`unicode_text.is_blank`) are absent, in a list too.

    Returns:
        The rows (int64 E) and the values (E texts or bytes, none of them absent).
    """
    rows, _, values = places(column)
    present = values.to_frame("value").select(_present(pl.col("value"), values.dtype))["value"]
    return rows[present.to_numpy()], values.filter(present)


def places(column: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64], pl.Series]:
    """Return rows, places in the row's list (0 where it is none) and values, absent ones too.

    Null and empty lists have no place; a single null or "" has one.
    """
    rows = np.arange(len(column), dtype=np.int64)
    if not isinstance(column.dtype, pl.List):
        return rows, np.zeros_like(rows), column
    lengths = column.list.len().fill_null(0)
    counts = lengths.to_numpy().astype(np.int64)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    values = column.filter(lengths > 0).explode()
    return np.repeat(rows, counts), np.arange(len(values), dtype=np.int64) - starts, values


def is_absent(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return whether a record has nothing in this column: null, a blank text, a list of these."""
    column = pl.col(name)
    if not isinstance(dtype, pl.List):
        return ~_present(column, dtype)
    found = column.list.drop_nulls().list.eval(_present(pl.element(), dtype.inner))
    return ~found.list.any().fill_null(False)


def first_value(value: Any) -> Any:
    """Return the first item of a list that is present, another value as it is; None for none."""
    if isinstance(value, list):
        return next((item for item in value if _is_there(item)), None)
    return value if _is_there(value) else None


def without_items(column: pl.Series, items: Mapping[int, Set[int]]) -> pl.Series:
    """Return the column without these values: row → their indices in its list, 0 if it is none.

    A single value, and a list of which nothing is left, become null.
    """
    values = column.to_list()
    for row, gone in items.items():
        value = values[row]
        kept = [v for i, v in enumerate(value) if i not in gone] if isinstance(value, list) else []
        values[row] = kept if any(map(_is_there, kept)) else None
    return pl.Series(column.name, values, dtype=column.dtype)


def content_bytes(column: pl.Series) -> Iterator[bytes]:
    """Yield what a column says, whatever its layout in memory: the same after save and load."""
    yield f"{column.name} {column.dtype} {len(column)};".encode()
    yield column.is_null().to_numpy().tobytes()
    known = column.drop_nulls()
    if column.dtype == pl.String:
        yield known.str.len_bytes().to_numpy().tobytes()
        yield known.str.join("").item().encode()
    elif column.dtype.is_numeric() or column.dtype == pl.Boolean:
        yield known.to_numpy().tobytes()
    elif isinstance(column.dtype, pl.List):
        yield known.list.len().to_numpy().tobytes()
        yield from content_bytes(known.filter(known.list.len() > 0).explode())
    else:
        for value in known:
            yield repr(value).encode()


def _is_there(value: Any) -> bool:
    return not is_blank(value) if isinstance(value, str) else bool(value)


def _present(values: pl.Expr, dtype: Any) -> pl.Expr:
    if dtype == pl.String:
        return values.map_batches(_visible, return_dtype=pl.Boolean(), is_elementwise=True)
    return (values.cast(pl.Binary).bin.size() > 0).fill_null(False)


def _visible(texts: pl.Series) -> pl.Series:
    # nearly all texts begin with a visible character of ASCII, which a comparison sees faster
    plain = ((texts >= "!") & (texts < "\x7f")).fill_null(False)
    others = (~plain).arg_true()
    if len(others):
        found = texts.gather(others).str.contains(NOT_BLANK).fill_null(False)
        plain = plain.scatter(others, found)
    return plain
