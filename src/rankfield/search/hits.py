"""What a search returns."""

from __future__ import annotations

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

    @property
    def ties(self) -> int:
        """How many queries have two documents of equal similarity among their hits."""
        equal = (self.similarities[:, 1:] == self.similarities[:, :-1]) & (self.indices[:, 1:] >= 0)
        return int(equal.any(axis=1).sum())
