"""An index of which several requests ask at once: their vectors are searched together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import polars as pl

from rankfield.index import ExactIndex, Filter, Index
from rankfield.index.base import Vectors
from rankfield.search import SearchOptions
from rankfield.search.first_pass import PROVEN
from rankfield.serving.batch_thread import BatchThread, Lane

__all__ = ["gathered"]

_QUERIES = 64


def gathered(index: Index, thread: BatchThread) -> Index:
    """Return an index that is searched in `thread`, single vectors of several callers together.

    The answers are those of `index`, to the bit: vectors are put together only where a search
    finds what exact search finds, whatever it is asked beside, and without a filter.
    """
    return cast("Index", _Gathered(index, thread))


class _Gathered:
    """All of an index but its searches, which go through the thread."""

    def __init__(self, index: Index, thread: BatchThread) -> None:
        self._index, self._thread = index, thread
        self._lanes: dict[int, Lane] = {}
        self._alone = Lane(lambda calls: [call() for call in calls], 1)
        exact = isinstance(index, ExactIndex) and index.name == ExactIndex.name
        self._proven = exact and index.metadata.first_pass in PROVEN

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._index)

    def frozen(self) -> Index:
        """Return this index as it is now, searched in the same thread."""
        return gathered(self._index.frozen(), self._thread)

    def search(
        self,
        vectors: Vectors,
        k: int,
        filter: Filter | None = None,
        options: SearchOptions | None = None,
        *,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Return the k nearest documents of each vector, as `Index.search`."""
        if filter is None and len(vectors) == 1 and k >= 1 and self._proven:
            lane = self._lane(k, options)
            frame: pl.DataFrame = self._thread.call(lane, [(vectors, k)])[0]
            return frame

        def alone() -> pl.DataFrame:
            return self._index.search(vectors, k, filter, options, exact=exact)

        call: Callable[[], pl.DataFrame] = alone
        found: pl.DataFrame = self._thread.call(self._alone, [call])[0]
        return found

    def _lane(self, k: int, options: SearchOptions | None) -> Lane:
        """Return the lane of all k of about this size: the largest of a batch is searched for."""

        def handle(asked: list[Any]) -> list[Any]:
            stacked = np.concatenate([vectors for vectors, _ in asked])
            most = max(count for _, count in asked)
            found = self._index.search(stacked, most, None, options)
            parts = found.partition_by("query", as_dict=True)
            return [
                parts.get((row,), found.clear())
                .head(count)
                .with_columns(pl.lit(0, dtype=pl.Int64).alias("query"))
                for row, (_, count) in enumerate(asked)
            ]

        return self._lanes.setdefault(k.bit_length(), Lane(handle, _QUERIES))
