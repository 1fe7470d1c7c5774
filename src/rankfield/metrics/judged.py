"""How much of a ranking the judgments cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankfield.metrics.rankings import FloatArray, JudgedRankings

__all__ = ["judged", "judged_at"]


def judged(rankings: JudgedRankings, k: int) -> FloatArray:
    """Return the judged share of the documents retrieved within k, float64 (Q,), in [0, 1].

    The divisor is min(k, documents retrieved), as in ir_measures; 0 where none was retrieved.

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = judged_at(rankings, [k])[0]
    return values


def judged_at(rankings: JudgedRankings, cutoffs: Sequence[int]) -> FloatArray:
    """Return `judged` at each of the cutoffs, float64 (C, Q)."""
    found = rankings.sums_at((~np.isnan(rankings.judged_scores)).astype(np.float64), cutoffs)
    shares: FloatArray = found / np.clip(rankings.lengths, 1, np.array(cutoffs)[:, None])
    return shares
