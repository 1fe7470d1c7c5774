"""Matching documents, counted by the values of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.query.candidates import Candidates
from rankfield.query.column_kinds import Kind, require_column

__all__ = ["Facet", "check_columns", "collapsed", "facet_of", "group_sizes"]

_COUNTED: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Facet:
    """How many of the matching documents have which value.

    values: (value, number of documents), the most frequent first, then by value; None is no value.
    others: how many documents have a value that is not shown.
    """

    values: tuple[tuple[Any, int], ...]
    others: int


def check_columns(names: Sequence[str], schema: pl.Schema, place: str) -> None:
    """Refuse columns that are not stored, or whose values cannot be counted.

    Raises:
        InputError: naming the column.
    """
    for name in names:
        require_column(name, schema, f"query, {place}", _COUNTED)


def facet_of(column: pl.Series, most: int) -> Facet:
    """Return the counts of the `most` frequent values of a column."""
    values = _plain(column)
    counts = (
        pl.DataFrame({"value": values})
        .group_by("value")
        .len()
        .sort(["len", "value"], descending=[True, False], nulls_last=True)
    )
    shown = counts.head(most)
    pairs = zip(shown["value"].to_list(), shown["len"].to_list(), strict=True)
    return Facet(tuple(pairs), len(column) - int(shown["len"].sum()))


def collapsed(candidates: Candidates, column: pl.Series) -> Candidates:
    """Return the first candidate of each value; one without a value is a group by itself.

    Args:
        candidates: in order.
        column: of all stored documents.
    """
    values = _plain(column[candidates.rows])
    first = values.is_first_distinct() | values.is_null()
    return candidates.at(first.to_numpy())


def group_sizes(
    column: pl.Series, matching: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]
) -> list[int]:
    """Return how many matching documents share the value of each of some rows; 1 of null.

    Args:
        column: of all stored documents.
        matching: bool (N,).
        rows: (n,).
    """
    values = _plain(column.filter(pl.Series(matching)))
    counts = pl.DataFrame({"value": values}).group_by("value").len()
    asked = pl.DataFrame({"value": _plain(column[rows])})
    found = asked.join(counts, on="value", how="left", maintain_order="left")["len"]
    sizes: list[int] = found.fill_null(1).to_list()
    return sizes


def _plain(column: pl.Series) -> pl.Series:
    """Return a column whose equal values are equal: NaN is null, categories are texts."""
    if column.dtype.is_float():
        return column.fill_nan(None)
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column
