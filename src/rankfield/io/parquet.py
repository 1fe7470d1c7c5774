"""Parquet files of others, read whole."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.parquet_size import require_bounded

__all__ = ["read_parquet"]


def read_parquet(path: Path, *, remedy: str = "") -> pl.DataFrame:
    """Read a Parquet file into memory.

    Raises:
        DataError: it is broken, or holds far more than its size (`expansion.allowed_bytes`).
    """
    try:
        require_bounded(path)
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        problem = f"not a readable Parquet file ({error})"
        raise DataError(problem, where=str(path), remedy=remedy) from error
