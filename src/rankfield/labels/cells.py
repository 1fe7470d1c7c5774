"""The statistics file, read in bounded pieces of whole queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.labels.click_model import ClickCounts, Floats, Integers

__all__ = ["Cells", "informative_counts", "read_cells"]

_ROWS = 1 << 19


@dataclass(frozen=True)
class Cells:
    """Some whole queries: a row for each query, document and position, in that order.

    frame: the rows as in the file. starts: where each pair begins, int64 (P,). query: the number of
    each pair's query within the piece, int64 (P,), ascending. decayed: whether counts are decayed.
    """

    frame: pl.DataFrame
    starts: Integers
    query: Integers
    decayed: bool

    @property
    def position(self) -> Integers:
        """Of each row, int64; 0 for carts and orders at an unknown place."""
        return self.frame["position"].to_numpy().astype(np.int64)

    def counts(self, name: str) -> Floats:
        """Return impressions, clicks, carts or orders of each row, decayed where they are."""
        column = f"decayed_{name}" if self.decayed else name
        return self.frame[column].to_numpy().astype(np.float64)

    def of_pairs(self, values: NDArray[np.float64]) -> Floats:
        """Return the sums over each pair's rows."""
        return np.add.reduceat(values, self.starts)


def read_cells(path: Path, *, rows: int = _ROWS) -> Iterator[Cells]:
    """Yield the statistics in pieces of about `rows` rows, a query never divided."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        waiting: list[pl.DataFrame] = []
        for batch in file.iter_batches(batch_size=rows):
            frame = pl.DataFrame(batch)
            waiting.append(frame)
            last = frame["query_id"][-1]
            if waiting[0]["query_id"][0] == last:
                continue  # one query so far
            whole = pl.concat(waiting)
            end = int(whole["query_id"].search_sorted(last, "left"))
            yield _cells(whole[:end])
            waiting = [whole[end:]]
        if waiting:
            yield _cells(pl.concat(waiting))


def _cells(frame: pl.DataFrame) -> Cells:
    new_query = _changes(frame["query_id"])
    new_pair = new_query | _changes(frame["doc_id"])
    starts = np.flatnonzero(new_pair).astype(np.int64)
    query = np.cumsum(new_query)[starts] - 1
    return Cells(frame, starts, query.astype(np.int64), "decayed_clicks" in frame.columns)


def _changes(ids: pl.Series) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = (ids != ids.shift()).fill_null(True).to_numpy().copy()
    return different


def informative_counts(path: Path, *, most_pairs: int = 2_000_000) -> ClickCounts:
    """Return the counts of pairs that were shown at two or more positions.

    Only they tell anything of the propensities. Of more than `most_pairs`, every second, third …
    is taken, so that they stand for all queries alike.
    """
    found: list[tuple[Integers, Integers, Floats, Floats]] = []
    total = 0
    for cells in read_cells(path):
        n, c = cells.counts("impressions"), cells.counts("clicks")
        sizes = np.diff(cells.starts, append=len(n))
        places = cells.of_pairs((n > 0).astype(np.float64))
        useful = places >= 2
        kept = np.repeat(useful, sizes) & (n > 0)
        number = np.repeat(np.cumsum(useful) - 1 + total, sizes)[kept]
        total += int(useful.sum())
        found.append(
            (number.astype(np.int32), cells.position[kept].astype(np.int32), n[kept], c[kept])
        )
    if not total:
        nothing = np.zeros(0)
        return ClickCounts(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing)
    pair, position, n, c = (np.concatenate(columns) for columns in zip(*found, strict=True))
    step = -(-total // most_pairs)
    kept = pair % step == 0
    return ClickCounts(
        pair[kept].astype(np.int64) // step, position[kept].astype(np.int64), n[kept], c[kept]
    )
