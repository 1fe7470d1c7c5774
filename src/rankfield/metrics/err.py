"""Expected reciprocal rank (Chapelle, Metzler, Zhang, Grinspan, CIKM 2009)."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family, Parameter
from rankfield.metrics.gains import HIGHEST_GRADE, GainMap, read_highest_grade
from rankfield.metrics.rankings import Cutoffs, FloatArray, Gain, JudgedRankings

__all__ = ["ERR", "err"]


def err(
    rankings: JudgedRankings, k: Cutoffs, grade: Gain, highest_grade: float | FloatArray
) -> FloatArray:
    """Return ERR@k of each query, float64 (Q,), in [0, 1); (C, Q) for C cutoffs.

    ERR@k = Σ_{r ≤ k} 1/r · R_r · Π_{i < r} (1 − R_i), with the probability that the user stops at
    a document R = (2^g − 1) / 2^g_max. An unjudged document has g = 0. g_max is the highest grade
    that the scale can give, not the highest that occurs (Chapelle et al., section 4). With
    highest_grade = 4 and integer grades up to 4 this is TREC's gdeval, and so ir_measures' ERR.

    Args:
        rankings: the judged rankings.
        k: the cutoff, or several.
        grade: the map from score to grade g, in [0, highest_grade]; usually `GainMap.grade`.
        highest_grade: g_max, or (Q, 1), each query's own; usually `GainMap.highest_grade`.

    Raises:
        MetricError: k < 1.
    """
    stop = np.expm1(np.log(2.0) * rankings.gains(grade)) / np.exp2(highest_grade)
    # The chance to reach a rank is that of not having stopped before it.
    reach = np.ones_like(stop)
    np.cumprod(1.0 - stop[:, :-1], axis=1, out=reach[:, 1:])
    return rankings.sums_at(stop * reach / rankings.judged_ranks, k)


ERR = Family(
    "ERR",
    "Σ_{r ≤ K} 1/r · R_r · Π_{i < r} (1 − R_i), R = (2^g − 1) / 2^g_max",
    lambda rankings, cutoffs, scale, values: err(
        rankings,
        cutoffs,
        GainMap(scale, top=values["max"] or HIGHEST_GRADE).grade,
        values["max"] or GainMap(scale).highest_grade,
    ),
    {
        "max": Parameter(
            None,
            read_highest_grade,
            "the highest grade, and the max of 2^max: `ERR(max=4)` is gdeval's",
            of_scale="the scale's highest grade, at most 4",
        ),
    },
)
