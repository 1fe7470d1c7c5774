"""Expected reciprocal rank (Chapelle, Metzler, Zhang, Grinspan, CIKM 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankfield.metrics.rankings import FloatArray, Gain, JudgedRankings

__all__ = ["err", "err_at"]


def err(rankings: JudgedRankings, k: int, grade: Gain, highest_grade: float) -> FloatArray:
    """Return ERR@k of each query, float64 (Q,), in [0, 1).

    ERR@k = Σ_{r ≤ k} 1/r · R_r · Π_{i < r} (1 − R_i), with the probability that the user stops at
    a document R = (2^g − 1) / 2^g_max. An unjudged document has g = 0. g_max is the highest grade
    that the scale can give, not the highest that occurs (Chapelle et al., section 4). With
    highest_grade = 4 and integer grades up to 4 this is TREC's gdeval, and so ir_measures' ERR.

    Args:
        rankings: the judged rankings.
        k: the cutoff.
        grade: the map from score to grade g, in [0, highest_grade]; usually `GainMap.grade`.
        highest_grade: g_max; usually `GainMap.highest_grade`.

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = err_at(rankings, [k], grade, highest_grade)[0]
    return values


def err_at(
    rankings: JudgedRankings,
    cutoffs: Sequence[int],
    grade: Gain,
    highest_grade: float | FloatArray,
) -> FloatArray:
    """Return `err` at each of the cutoffs, float64 (C, Q).

    `highest_grade` may be an array (Q, 1): each query's own.
    """
    stop = np.expm1(np.log(2.0) * rankings.gains(grade)) / np.exp2(highest_grade)
    # The chance to reach a rank is that of not having stopped before it.
    reach = np.ones_like(stop)
    np.cumprod(1.0 - stop[:, :-1], axis=1, out=reach[:, 1:])
    return rankings.sums_at(stop * reach / rankings.judged_ranks, cutoffs)
