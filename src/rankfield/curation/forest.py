"""Which records belong together so far, as pairs of them come in: a disjoint-set forest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest"]


class Forest:
    """Sets of rows 0 … count − 1, each row alone at first; the root of a set is its least row."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count, dtype=np.int64)

    def roots(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the root of the set of each row, int64 of the same shape."""
        found = rows
        while ((above := self._parents[found]) != found).any():
            found = above
        self._parents[rows] = found
        return found

    def join(self, pairs: NDArray[np.int64]) -> None:
        """Make one set of the two of each pair, int64 (P, 2); their order says nothing."""
        first, second = pairs[:, 0], pairs[:, 1]
        while True:
            a, b = self.roots(first), self.roots(second)
            apart = a != b
            if not apart.any():
                return
            # a parent is always the lesser row, so there are no circles
            np.minimum.at(self._parents, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
            first, second = first[apart], second[apart]

    def labels(self) -> NDArray[np.int64]:
        """Return the root of every row, int64 (count,)."""
        return self.roots(np.arange(len(self._parents), dtype=np.int64))
