"""Rank-biased precision (Moffat and Zobel, TOIS 27(1), 2008)."""

from __future__ import annotations

from rankfield.metrics.family import Family, Parameter, number
from rankfield.metrics.gains import GainMap
from rankfield.metrics.rankings import Cutoffs, FloatArray, Gain, JudgedRankings

__all__ = ["RBP", "rbp"]


def rbp(
    rankings: JudgedRankings, k: Cutoffs, fraction: Gain, *, persistence: float = 0.9
) -> FloatArray:
    """Return RBP@k of each query, float64 (Q,), in [0, 1 − p^k]; (C, Q) for C cutoffs.

    RBP@k = (1 − p) · Σ_{r ≤ k} p^(r − 1) · fraction(score_r), with fraction in [0, 1] (usually
    `GainMap.fraction`) and p the `persistence`: the chance to go on to the next document.
    Unjudged documents count 0.

    Raises:
        MetricError: k < 1.
    """
    weights = (1.0 - persistence) * persistence ** (rankings.judged_ranks - 1.0)
    return rankings.sums_at(rankings.gains(fraction) * weights, k)


RBP = Family(
    "RBP",
    "(1 − p) · Σ_{r ≤ K} p^(r − 1) · fraction_r",
    lambda rankings, cutoffs, scale, values: rbp(
        rankings, cutoffs, GainMap(scale).fraction, persistence=values["p"]
    ),
    {
        "p": Parameter(
            0.9,
            number("a number between 0 and 1", 0, 1),
            "persistence: the chance to go on to the next document",
        ),
    },
)
