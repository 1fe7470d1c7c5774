"""How much of a ranking the judgments cover."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings

__all__ = ["JUDGED", "judged"]


def judged(rankings: JudgedRankings, k: Cutoffs) -> FloatArray:
    """Return the judged share of the documents retrieved within k, float64 (Q,), in [0, 1].

    (C, Q) for C cutoffs. The divisor is min(k, documents retrieved), as in ir_measures; 0 where
    none was retrieved.

    Raises:
        MetricError: k < 1.
    """
    found = rankings.sums_at((~np.isnan(rankings.judged_scores)).astype(np.float64), k)
    shares: FloatArray = found / np.clip(rankings.lengths, 1, np.asarray(k)[..., None])
    return shares


JUDGED = Family(
    "Judged",
    "judged documents within K / documents retrieved within K",
    lambda rankings, cutoffs, _scale, _values: judged(rankings, cutoffs),
    can_condense=False,
)
