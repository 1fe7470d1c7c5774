"""Columns as finite numbers; every error with its file and row."""

from __future__ import annotations

from typing import Literal, Protocol

import polars as pl

from rankfield.errors import DataError
from rankfield.messages import more

__all__ = ["finite_numbers"]


class _Rows(Protocol):
    def column(self, name: str) -> pl.Series: ...

    def where(self, row: int, column: str = "") -> str: ...


def finite_numbers(table: _Rows, column: str, *, unit: Literal["row", "line"] = "row") -> pl.Series:
    """Return a column of numbers, or of texts that spell them, as float64.

    `unit` is what a message calls a row.

    Raises:
        DataError: a value that is no number, NaN or infinite (1e400 too), with its row and how many
            more there are.
    """
    raw = table.column(column)
    text = raw.dtype == pl.String
    if not (text or raw.dtype.is_numeric() or raw.dtype in (pl.Boolean, pl.Null)):
        raise DataError(
            f"expected numbers, found {raw.dtype}",
            where=table.where(0, column),
            remedy="Choose another column as the score.",
        )
    numbers = (raw.str.strip_chars() if text else raw).cast(pl.Float64, strict=False)
    bad = ~numbers.is_finite().fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        found = "nothing" if raw[row] is None else repr(raw[row])
        found = found if len(found) <= 60 else f"{found[:60]}…"
        raise DataError(
            f"expected a finite number, found {found}" + more(int(bad.sum()) - 1, unit),
            where=table.where(row, column),
            remedy=f"Fix or remove the {unit}.",
        )
    return numbers
