"""Rank-biased precision (Moffat and Zobel, TOIS 27(1), 2008)."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.rankings import FloatArray, Gain, JudgedRankings

__all__ = ["rbp"]


def rbp(
    rankings: JudgedRankings, k: int, fraction: Gain, *, persistence: float = 0.9
) -> FloatArray:
    """Return RBP@k of each query, float64 (Q,), in [0, 1 − p^k].

    RBP@k = (1 − p) · Σ_{r ≤ k} p^(r − 1) · fraction(score_r), with fraction in [0, 1] (usually
    `GainMap.fraction`) and p the `persistence`: the chance to go on to the next document.
    Unjudged documents count 0.

    Raises:
        MetricError: k < 1.
    """
    found = rankings.gains(k, fraction)
    values: FloatArray = (1.0 - persistence) * (
        found @ persistence ** np.arange(found.shape[1], dtype=np.float64)
    )
    return values
