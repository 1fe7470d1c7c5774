"""A table's fields as distinct values and codes, so that each is read and encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.schema import Field

__all__ = ["FieldColumn", "content_ids", "field_columns"]


@dataclass(frozen=True)
class FieldColumn:
    """One field over N records: `codes` (int64 N) index `values`; −1 where the field is absent."""

    field: Field
    codes: NDArray[np.int64]
    values: list[str] | list[bytes]


def field_columns(frame: pl.DataFrame, fields: Sequence[Field]) -> list[FieldColumn]:
    """Return each field's column of `frame`; null and "" count as absent."""
    return [_column(frame[field.name], field) for field in fields]


def _column(series: pl.Series, field: Field) -> FieldColumn:
    lengths = series.str.len_bytes() if series.dtype == pl.String else series.bin.size()
    present = (lengths.fill_null(0) > 0).to_numpy()
    kept = series.filter(pl.Series(present))
    distinct = kept.unique(maintain_order=True)
    positions = pl.DataFrame({"value": distinct, "code": np.arange(len(distinct))})
    joined = pl.DataFrame({"value": kept}).join(
        positions, on="value", how="left", maintain_order="left"
    )
    codes = np.full(len(series), -1, dtype=np.int64)
    codes[present] = joined["code"].to_numpy()
    return FieldColumn(field, codes, distinct.to_list())


def content_ids(columns: Sequence[FieldColumn]) -> NDArray[np.int64]:
    """Return a number for each record, the same for records whose fields are all equal."""
    codes = np.stack([column.codes for column in columns], axis=1)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
