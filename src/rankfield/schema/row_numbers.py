"""Rows of a table: from ids, and in as few bytes as they need."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import DataError

__all__ = ["in_four_bytes", "row_numbers"]

_BY_HASH = 100_000
_AT_ONCE = 1_000_000
_SHORT = 2**31


def row_numbers(ids: pl.Series, table: pl.Series) -> NDArray[np.int64]:
    """Return the row (int64) of each id in a table's id column, −1 where it is unknown.

    Raises:
        DataError: the table has one of the ids twice.
    """
    if len(ids) >= _BY_HASH:
        found = _by_hash(ids, table)
        if found is not None:
            return found
    return _joined(ids, table, table.name)


def in_four_bytes(rows: NDArray[np.int64]) -> NDArray[np.integer]:
    """Return row numbers ≥ 0 in four bytes each, where they suffice."""
    return rows.astype(np.int32) if rows.max(initial=0) < _SHORT else rows


def _joined(ids: pl.Series, table: pl.Series, name: str) -> NDArray[np.int64]:
    positions = pl.DataFrame({"id": table, "row": np.arange(len(table))})
    found = pl.DataFrame({"id": ids}).join(positions, on="id", how="left", maintain_order="left")
    if len(found) != len(ids):
        raise DataError(
            f"column {name!r} has the same id twice", remedy="Run `rankfield check --fix`."
        )
    rows: NDArray[np.int64] = found["row"].fill_null(-1).to_numpy()
    return rows


def _by_hash(ids: pl.Series, table: pl.Series) -> NDArray[np.int64] | None:
    """Return the rows by 64-bit hashes of the ids, in a third of the time and the memory.

    None where hashes do not tell the ids apart, or an id is twice in the table.
    """
    try:
        rows = _joined(ids.hash(), table.hash(), table.name)
    except DataError:
        return None
    if ids.null_count():
        rows = np.where(ids.is_null().to_numpy(), -1, rows)
    for start in range(0, len(ids), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        known = part >= 0
        same = table.gather(part[known]) == ids.slice(start, _AT_ONCE).filter(pl.Series(known))
        if not same.all():
            return None
    return rows
