"""What a search returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Hits"]


@dataclass(frozen=True)
class Hits:
    """The k best documents of each query, best first.

    indices: int64 (Q, k), rows of the documents; −1 past the end of a list shorter than k.
    similarities: float32 (Q, k); −∞ past the end.

    Equal similarities are in the order of the document rows.
    """

    indices: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]

    @classmethod
    def nothing(cls, queries: int, k: int) -> Hits:
        """Return empty lists of k places, to be filled."""
        indices = np.full((queries, k), -1, dtype=np.int64)
        return cls(indices, np.full(indices.shape, -np.inf, dtype=np.float32))

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        """Return the hits of some queries and of further ones, to the width of the widest."""
        found = cls.nothing(
            sum(len(part.indices) for part in parts),
            max((part.indices.shape[1] for part in parts), default=0),
        )
        start = 0
        for part in parts:
            found.put(slice(start, start + len(part.indices)), part)
            start += len(part.indices)
        return found

    def put(self, queries: slice | npt.NDArray[np.bool_], hits: Hits) -> None:
        """Write the hits of some queries, which may be fewer than there are places, in place."""
        width = hits.indices.shape[1]
        self.indices[queries, :width] = hits.indices
        self.similarities[queries, :width] = hits.similarities

    @property
    def ties(self) -> int:
        """How many queries have two documents of equal similarity among their hits."""
        equal = (self.similarities[:, 1:] == self.similarities[:, :-1]) & (self.indices[:, 1:] >= 0)
        return int(equal.any(axis=1).sum())
