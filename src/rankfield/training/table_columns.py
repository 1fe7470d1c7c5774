"""The fields of a data set's table as columns; of a mapped table, in mapped files too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, SeriesValues, field_columns, first_places
from rankfield.field_values import flat_values
from rankfield.schema import Field, RankingDataset

__all__ = ["table_columns"]


def table_columns(
    dataset: RankingDataset, side: Side, fields: Sequence[Field]
) -> list[FieldColumn]:
    """Return each field's column of the data set's queries or documents.

    Of a mapped data set a code is the row of the first record with the value, and `values` the
    table's own column: nothing of it is in the memory of a process. Lists of images are read.
    """
    table = dataset.queries if side == "query" else dataset.documents
    columns = []
    for field in fields:
        series = table[field.name]
        if dataset.mapped is None or isinstance(series.dtype, pl.List):
            columns += field_columns(table, [field])
            continue
        what = f"column {side} {field.name!r}"
        arrays = dataset.mapped.derived(what, partial(_arrays, series))
        columns.append(
            FieldColumn(field, arrays["starts"], arrays["entries"], SeriesValues(series))
        )
    return columns


def _arrays(series: pl.Series) -> dict[str, NDArray[np.int64]]:
    rows, kept = flat_values(series)
    starts = np.zeros(len(series) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(series)), out=starts[1:])
    return {"starts": starts, "entries": rows[first_places(kept)]}
