"""Maximal marginal relevance (Carbonell and Goldstein, 1998)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rankfield.query.candidates import Candidates
from rankfield.query.similarities import similarities

__all__ = ["diverse"]


def diverse(
    candidates: Candidates, vectors: npt.NDArray[np.float32], diversity: float
) -> Candidates:
    """Return candidates in the order in which each place goes to the largest value

        (1 − δ) · score − δ · R · max(0, largest similarity with a document above it),

    its new score. R is the difference of the largest and the least score, or 1 where all are
    equal: δ means the same whatever the scores are. The values descend. Where they are equal, the
    first of the candidates comes first.

    Args:
        candidates: in order.
        vectors: float32 (n, D), theirs.
        diversity: δ, from 0 to 1.
    """
    count = len(candidates)
    score = candidates.score
    spread = (float(np.ptp(score)) if count else 0.0) or 1.0
    between = similarities(vectors, vectors).astype(np.float64)
    most, like = np.zeros(count), np.full(count, -1, dtype=np.int64)
    order, values = np.zeros(count, dtype=np.int64), np.zeros(count)
    left = np.ones(count, dtype=np.bool_)
    for place in range(count):
        value = (1.0 - diversity) * score - diversity * spread * most
        best = int(np.where(left, value, -np.inf).argmax())
        order[place], values[place] = best, value[best]
        left[best] = False
        closer = left & (between[best] > most)
        most[closer], like[closer] = between[best][closer], candidates.rows[best]
    ranked = candidates.at(order)
    return replace(
        ranked,
        score=values,
        penalty=values - ranked.score,
        like=like[order],
        like_similarity=most[order],
    )
