"""From ids to the rows of a table."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import DataError

__all__ = ["row_numbers"]


def row_numbers(ids: pl.Series, table: pl.Series) -> NDArray[np.int64]:
    """Return the row (int64) of each id in a table's id column, −1 where it is unknown.

    Raises:
        DataError: the table has one of the ids twice.
    """
    positions = pl.DataFrame({"id": table, "row": np.arange(len(table))})
    found = pl.DataFrame({"id": ids}).join(positions, on="id", how="left", maintain_order="left")
    if len(found) != len(ids):
        raise DataError(
            f"column {table.name!r} has the same id twice", remedy="Run `rankfield check --fix`."
        )
    rows: NDArray[np.int64] = found["row"].fill_null(-1).to_numpy()
    return rows
