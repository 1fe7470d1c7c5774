"""Documents that may be results, with all that their scores are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from rankfield.query.view import Rows

__all__ = ["Candidates"]

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """n documents as parallel arrays.

    rows: their rows.
    similarity: float32 (n,), with the query's vector.
    bm25: float64 (n,), of the text arm; 0 where no word is shared or there is no such arm.
    ranks: int64 (n, 2), of the vector and the text arm, from 1; 0 where an arm does not find it.
    arms: float64 (n, 2), what these arms add.
    boosts: float64 (n, B), what boosts add.
    score: float64 (n,), the sum, with the penalty.
    penalty: float64 (n,), of diversity.
    like, like_similarity: the row above that it is most like, −1 for none, and their similarity.
    """

    rows: Rows
    similarity: npt.NDArray[np.float32]
    bm25: Numbers
    ranks: Ints
    arms: Numbers
    boosts: Numbers
    score: Numbers
    penalty: Numbers
    like: Rows
    like_similarity: Numbers

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    def at(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Self:
        """Return those at some places."""
        arrays = {name: getattr(self, name)[places] for name in self.__dataclass_fields__}
        return replace(self, **arrays)

    def ordered(self) -> Self:
        """Return them by score, the largest first, and by row where scores are equal."""
        return self.at(np.lexsort((self.rows, -self.score)))

    def boosted(self, boosts: Numbers) -> Self:
        """Return them with what boosts add, float64 (n, B), in the score."""
        score = self.score
        for added in boosts.T:
            score = score + added
        return replace(self, boosts=boosts, score=score)
