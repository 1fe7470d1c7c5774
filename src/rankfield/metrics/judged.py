"""How much of a ranking the judgments cover."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.rankings import FloatArray, JudgedRankings, check_cutoff

__all__ = ["judged"]


def judged(rankings: JudgedRankings, k: int) -> FloatArray:
    """Return the judged share of the documents retrieved within k, float64 (Q,), in [0, 1].

    The divisor is min(k, documents retrieved), as in ir_measures; 0 where none was retrieved.

    Raises:
        MetricError: k < 1.
    """
    known = (~np.isnan(rankings.scores[:, : check_cutoff(k)])).sum(axis=1, dtype=np.float64)
    shares: FloatArray = known / np.clip(rankings.lengths, 1, k)
    return shares
