"""Reciprocal rank."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, by_relevance

__all__ = ["RR", "reciprocal_rank"]


def reciprocal_rank(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return 1 / rank of the first relevant document within k, else 0; float64 (Q,), in [0, 1].

    (C, Q) for C cutoffs.

    Raises:
        MetricError: k < 1.
    """
    first = np.cumsum(rankings.relevant(threshold), axis=1) == 1
    first[:, 1:] &= ~first[:, :-1]
    return rankings.sums_at(first / rankings.judged_ranks, k)


RR = Family(
    "RR",
    "1 / rank of the first relevant document within K, else 0",
    by_relevance(reciprocal_rank),
    REL,
    spellings={"mrr": {}},
)
