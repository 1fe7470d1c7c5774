"""What finds candidates: the vectors, and BM25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rankfield.query.similarities import similarities
from rankfield.query.view import Rows, View
from rankfield.search import SearchOptions

__all__ = ["Constraints", "lexical_arm", "vector_arm"]

Bools = npt.NDArray[np.bool_]

_GROWTH = 4


@dataclass(frozen=True)
class Constraints:
    """Which documents may be found, in either arm.

    allowed: bool (N,), by filters and ids; all if None.
    units: float32 (E, D), of what is excluded.
    above: float64 (E,), the similarity above which a document is excluded.
    """

    allowed: Bools | None
    units: npt.NDArray[np.float32]
    above: npt.NDArray[np.float64]

    def keep(self, vectors: npt.NDArray[np.float32]) -> Bools:
        """Return which of some vectors (n, D) are like nothing that is excluded."""
        found = similarities(self.units, vectors).astype(np.float64) > self.above[:, None]
        kept: Bools = np.logical_not(found.any(axis=0))
        return kept

    def matching(self, view: View, vector: npt.NDArray[np.float32], least: float | None) -> Bools:
        """Return which of all documents match, bool (N,): those that could be a result.

        They have a vector, are allowed and not excluded, and reach the least similarity.

        Args:
            view: of the index.
            vector: float32 (D,), of the query.
            least: their similarity with it; any if None.
        """
        found = view.findable if self.allowed is None else view.findable & self.allowed
        if least is not None:
            found = found & view.above(vector, least, equal=True)
        for unit, above in zip(self.units, self.above.tolist(), strict=True):
            found = found & ~view.above(unit, above, equal=False)
        return found


def vector_arm(
    view: View,
    vector: npt.NDArray[np.float32],
    count: int,
    constraints: Constraints,
    options: SearchOptions | None,
    *,
    exact: bool = False,
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """Return the rows and similarities of the nearest documents that may be found, best first.

    Where some are excluded, more are asked for until there are `count`, or no more.

    Args:
        view: of the index.
        vector: float32 (D,), of the query.
        count: how many documents.
        constraints: which may be found.
        options: how to search.
        exact: miss none, in a store that approximates too.
    """
    asked = count
    while True:
        rows, similarity = view.nearest(vector, asked, constraints.allowed, options, exact=exact)
        if not len(constraints.units):
            return rows, similarity
        kept = constraints.keep(view.vectors(rows))
        if kept.sum() >= count or len(rows) < asked:
            return rows[kept][:count], similarity[kept][:count]
        asked = min(asked * _GROWTH, len(view) + 1)


def lexical_arm(
    view: View,
    words: Sequence[str],
    weights: Mapping[str, float],
    count: int,
    constraints: Constraints,
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Return rows of the documents with the largest BM25 that may be found, and BM25 of all.

    Documents without a word of the query, or without a vector, are not found.

    Returns:
        int64 (n,), n ≤ count, best first; float64 (N,).
    """
    scores = view.lexical(list(weights)).scores(list(words), weights)
    allowed = scores > 0
    if constraints.allowed is not None:
        allowed &= constraints.allowed
    rows = np.flatnonzero(allowed)
    rows = rows[np.lexsort((rows, -scores[rows]))]
    found: list[Rows] = []
    for start in range(0, len(rows), count):
        part = rows[start : start + count]
        vectors = view.vectors(part)
        found.append(part[vectors.any(axis=1) & constraints.keep(vectors)])
        if sum(map(len, found)) >= count:
            break
    return np.concatenate([*found, rows[:0]])[:count], scores
