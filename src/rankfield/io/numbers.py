"""Numbers as texts, and texts as numbers; what is no finite number is refused with its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from rankfield.errors import DataError
from rankfield.io.table import Table
from rankfield.messages import more

__all__ = ["finite_numbers", "number_texts", "number_type", "number_types", "with_numbers"]

_NUMBER = r"^-?(0|[1-9]\d{0,14})(\.\d+)?$"


def number_texts(column: str) -> pl.Expr:
    """Return numbers as the shortest text that reads back the same: 3, 0.5, 1e-7."""
    number = pl.col(column).cast(pl.Float64)
    whole = (number == number.floor()) & (number.abs() < 2**53)
    return (
        pl.when(whole)
        .then(number.cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(number.cast(pl.String))
    )


def number_types(table: pl.LazyFrame, names: Sequence[str]) -> dict[str, type[pl.DataType]]:
    """Return what `number_type` says of these columns of texts, those of plain numbers alone.

    The rows pass once, in a stream, whatever the number of columns.
    """
    if not names:
        return {}
    plain = [pl.col(n).str.contains(_NUMBER).all().alias(f"{i}") for i, n in enumerate(names)]
    dots = [
        pl.col(n).str.contains(".", literal=True).any().alias(f"{i}.") for i, n in enumerate(names)
    ]
    found = table.select(*plain, *dots).collect(engine="streaming").row(0)
    size = len(names)
    return {
        name: pl.Float64 if found[size + i] else pl.Int64
        for i, name in enumerate(names)
        if found[i]
    }


def number_type(column: pl.Series) -> type[pl.DataType] | None:
    """Return the type of a column of texts if each is a plain number, else None.

    A plain number is spelt as it would be written again: "007" and "1e3" are texts.
    """
    known = column.drop_nulls()
    if not known.str.contains(_NUMBER).all():
        return None
    return pl.Float64 if known.str.contains(".", literal=True).any() else pl.Int64


def with_numbers(frame: pl.DataFrame, texts: Sequence[str]) -> pl.DataFrame:
    """Return text columns of plain numbers as numbers, all but empty ones and those in `texts`."""
    columns = []
    for column in frame:
        text = column.name in texts or column.dtype != pl.String
        kind = None if text or column.null_count() == len(column) else number_type(column)
        columns.append(column if kind is None else column.cast(kind))
    return pl.DataFrame(columns)


def finite_numbers(table: Table, column: str, *, unit: Literal["row", "line"] = "row") -> pl.Series:
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
