"""Records with their vectors as a table of Arrow, in types that every reader of Parquet has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

__all__ = ["VECTOR", "is_plain", "vector_table"]

VECTOR = "vector"
"""The column of the vectors."""

_PLAIN = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Categorical, pl.Enum)


def is_plain(dtype: pl.DataType) -> bool:
    """Return whether a column holds what others can read: texts, numbers, truth values and times.

    Lists of them are plain too; bytes and structures are not.
    """
    if isinstance(dtype, pl.List):
        return is_plain(dtype.inner)  # type: ignore[arg-type]
    return dtype.is_numeric() or isinstance(dtype, _PLAIN)


def vector_table(rows: pl.DataFrame, vectors: npt.NDArray[np.float32]) -> pa.Table:
    """Return the columns of n records and `vector`, lists of fixed size.

    Args:
        rows: n records, of plain columns.
        vectors: n × D, float32.
    """
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(pa.float32(), vectors.shape[1]))
    return _plain(rows).append_column(VECTOR, column)


def _plain(frame: pl.DataFrame) -> pa.Table:
    categories = [n for n, t in frame.schema.items() if isinstance(t, pl.Categorical | pl.Enum)]
    table = frame.with_columns(pl.col(categories).cast(pl.String)).to_arrow()
    fields = [pa.field(f.name, _older(f.type)) for f in table.schema]
    return table.cast(pa.schema(fields))


def _older(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(_older(kind.value_type))
    return kind
