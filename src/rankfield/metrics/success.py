"""Success, or hit rate: whether anything relevant is within the cutoff."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, by_relevance, relevant_within

__all__ = ["SUCCESS", "success"]


def success(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return 1 where a relevant document is within k, else 0; float64 (Q,), or (C, Q).

    Raises:
        MetricError: k < 1.
    """
    found: FloatArray = (relevant_within(rankings, k, threshold) > 0).astype(np.float64)
    return found


SUCCESS = Family(
    "Success",
    "1 if a relevant document is within K, else 0",
    by_relevance(success),
    REL,
    spellings={"hit_rate": {}},
)
