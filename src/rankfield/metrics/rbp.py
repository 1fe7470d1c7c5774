"""Rank-biased precision (Moffat and Zobel, TOIS 27(1), 2008)."""

from __future__ import annotations

from collections.abc import Sequence

from rankfield.metrics.rankings import FloatArray, Gain, JudgedRankings

__all__ = ["rbp", "rbp_at"]


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
    values: FloatArray = rbp_at(rankings, [k], fraction, persistence=persistence)[0]
    return values


def rbp_at(
    rankings: JudgedRankings, cutoffs: Sequence[int], fraction: Gain, *, persistence: float = 0.9
) -> FloatArray:
    """Return `rbp` at each of the cutoffs, float64 (C, Q)."""
    weights = (1.0 - persistence) * persistence ** (rankings.judged_ranks - 1.0)
    return rankings.sums_at(rankings.gains(fraction) * weights, cutoffs)
