"""Average precision (AP), whose mean over queries is mAP."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, by_relevance, per_relevant

__all__ = ["AP", "average_precision"]


def average_precision(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return average precision over the first k ranks, float64 (Q,), in [0, 1].

    AP@k = Σ_{r ≤ k, relevant} precision@r / (number of relevant documents, retrieved or not).
    NaN where no judged document is relevant. (C, Q) for C cutoffs.

    Raises:
        MetricError: k < 1.
    """
    relevant = rankings.relevant(threshold)
    precisions = np.cumsum(relevant, axis=1) * relevant / rankings.judged_ranks
    return per_relevant(rankings.sums_at(precisions, k), rankings, threshold)


AP = Family(
    "mAP",
    "AP: Σ_{r ≤ K, relevant} precision@r / number of relevant documents, retrieved or not",
    by_relevance(average_precision),
    REL,
    spellings={"map": {}, "ap": {}},
)
