"""A table's fields as distinct values and codes, so that each is read and encoded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from rankfield.field_values import flat_values
from rankfield.ranges import ranges
from rankfield.schema import Field

__all__ = [
    "FieldColumn",
    "ImageSource",
    "ImageValue",
    "SeriesValues",
    "field_columns",
    "first_places",
    "value_column",
]

ImageValue = str | bytes | Image.Image
"""A path, the bytes of an encoded image, or an image that a caller opened."""

ImageSource = Callable[[Any], Path | bytes | Image.Image]
"""From an `ImageValue` to what `images.open_image` takes."""


_AT_ONCE = 1_000_000


class SeriesValues(Sequence[Any]):
    """The values of a table's column where it lies, which may be a mapped file."""

    def __init__(self, series: pl.Series) -> None:
        self._series = series

    def __len__(self) -> int:
        return len(self._series)

    @overload
    def __getitem__(self, place: int) -> Any: ...

    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        found = self._series[place]
        return found.to_list() if isinstance(place, slice) else found

    def take(self, places: NDArray[np.int64]) -> list[Any]:
        """Return the values at these places."""
        return self._series.gather(places).to_list()


@dataclass(frozen=True)
class FieldColumn:
    """One field over N records, each of its U distinct values once.

    The entries of record r are `entries[starts[r]:starts[r + 1]]`, codes that index `values`: none
    where the field is absent, one for a text or an image, as many as there are in a list of
    images, in its order. `starts` is int64 N + 1, `entries` int64. Codes ascend with the first
    record that has the value; `values` may hold more than the codes name.
    """

    field: Field
    starts: NDArray[np.int64]
    entries: NDArray[np.int64]
    values: Sequence[ImageValue]

    @cached_property
    def multi_valued(self) -> bool:
        """Whether any record has more than one entry."""
        return bool((np.diff(self.starts) > 1).any())

    def entries_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the entries of these records: (positions in `rows`, codes), positions ascending.

        A record without the field has none; `rows` may repeat.
        """
        first = self.starts[rows]
        counts = self.starts[rows + 1] - first
        if not self.multi_valued:
            positions = np.flatnonzero(counts)
            return positions, self.entries[first[positions]]
        positions, place = ranges(counts)
        return positions, self.entries[first[positions] + place]

    def take(self, codes: NDArray[np.int64]) -> list[Any]:
        """Return the values of these codes."""
        if isinstance(self.values, SeriesValues):
            return self.values.take(codes)
        return [self.values[code] for code in codes.tolist()]

    def codes_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the distinct codes of these records, ascending."""
        return np.unique(self.entries_of(rows)[1])


def field_columns(frame: pl.DataFrame, fields: Sequence[Field]) -> list[FieldColumn]:
    """Return each field's column of `frame`; null, b"" and blank texts count as absent,
    in a list too."""
    return [_column(frame[field.name], field) for field in fields]


def _column(series: pl.Series, field: Field) -> FieldColumn:
    rows, kept = flat_values(series)
    distinct = kept.unique(maintain_order=True)
    positions = pl.DataFrame({"value": distinct, "code": np.arange(len(distinct))})
    joined = pl.DataFrame({"value": kept}).join(
        positions, on="value", how="left", maintain_order="left"
    )
    starts = np.zeros(len(series) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(series)), out=starts[1:])
    codes = joined["code"].to_numpy().astype(np.int64, copy=False)
    return FieldColumn(field, starts, codes, distinct.to_list())


def first_places(values: pl.Series) -> NDArray[np.int64]:
    """Return for each value the place of the first that is equal, int64.

    By 64-bit hashes, whose groups are compared with their first value: a quarter of the memory
    that the values themselves would take in a table of hashes.

    Args:
        values: texts, none of them null.
    """
    hashes = values.hash().to_numpy()
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[new][np.cumsum(new) - 1]
    for start in range(0, len(first), _AT_ONCE):
        part = values.slice(start, _AT_ONCE)
        if not (values.gather(first[start : start + _AT_ONCE]) == part).all():
            return _first_by_value(values)  # two texts share a hash
    return first


def _first_by_value(values: pl.Series) -> NDArray[np.int64]:
    frame = values.to_frame("value").with_row_index("place")
    firsts = frame.group_by("value").agg(pl.col("place").min())
    joined = frame.select("value").join(firsts, on="value", how="left", maintain_order="left")
    return joined["place"].to_numpy().astype(np.int64)


def value_column(field: Field, records: Sequence[Sequence[ImageValue]]) -> FieldColumn:
    """Return the column of a field whose values are given record by record.

    Texts, paths and bytes are distinct by value, opened images by identity.
    """
    codes: dict[Hashable, int] = {}
    values: list[ImageValue] = []
    entries = []
    for value in (value for record in records for value in record):
        key = id(value) if isinstance(value, Image.Image) else value
        if key not in codes:
            codes[key] = len(values)
            values.append(value)
        entries.append(codes[key])
    starts = np.zeros(len(records) + 1, dtype=np.int64)
    np.cumsum([len(record) for record in records], out=starts[1:])
    return FieldColumn(field, starts, np.array(entries, dtype=np.int64), values)
