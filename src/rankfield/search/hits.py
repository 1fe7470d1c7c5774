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
    scores: float32 (Q, k), the similarities; −∞ past the end.

    Equal scores are in the order of the document rows.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    @property
    def ties(self) -> int:
        """How many queries have two documents of equal score among their hits."""
        equal = (self.scores[:, 1:] == self.scores[:, :-1]) & (self.indices[:, 1:] >= 0)
        return int(equal.any(axis=1).sum())
