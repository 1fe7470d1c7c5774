"""Numbers as texts, and texts as numbers where nothing is lost by it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["number_texts", "number_type", "number_types", "with_numbers"]

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
