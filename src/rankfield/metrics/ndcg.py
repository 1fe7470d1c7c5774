"""Normalised discounted cumulative gain (Järvelin and Kekäläinen, TOIS 20(4), 2002)."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family, Parameter, choice
from rankfield.metrics.gains import HIGHEST_GRADE, GainMap, read_highest_grade
from rankfield.metrics.rankings import Cutoffs, FloatArray, Gain, IntArray, JudgedRankings

__all__ = ["NDCG", "ndcg"]


def ndcg(rankings: JudgedRankings, k: Cutoffs, gain: Gain) -> FloatArray:
    """Return nDCG@k of each query, float64 (Q,), in [0, 1]; (C, Q) for C cutoffs.

    nDCG@k = DCG / ideal DCG, DCG = Σ_{r ≤ k} gain(score_r) / log2(r + 1). The ideal is the DCG
    of all judged documents of the query, retrieved or not, in the best order; unjudged documents
    have gain 0. NaN where no judged document has a positive gain. With `GainMap.linear` this is
    trec_eval's nDCG, with `GainMap.exponential` that of Burges et al. (2005).

    Raises:
        MetricError: k < 1.
    """
    found = rankings.sums_at(rankings.gains(gain) / _discount(rankings.judged_ranks), k)
    ideal = _ideal(rankings.ideal_gains(int(np.max(k)), gain), k)
    values = np.full(found.shape, np.nan)
    np.divide(found, ideal, out=values, where=ideal > 0)
    # The two sums may differ in the last bit.
    bounded: FloatArray = np.minimum(values, 1.0)
    return bounded


def _ideal(gains: FloatArray, k: Cutoffs) -> FloatArray:
    """Return the DCG of gains (Q, M) at ranks 1 … M, at each cutoff, (Q,) or (C, Q)."""
    count, width = gains.shape
    running = np.zeros((count, width + 1))
    np.cumsum(gains / _discount(np.arange(1, width + 1)), axis=1, out=running[:, 1:])
    at_cutoffs: FloatArray = running.T[np.minimum(k, width)]
    return at_cutoffs


def _discount(ranks: IntArray) -> FloatArray:
    discounts: FloatArray = np.log2(ranks + 1.0)
    return discounts


NDCG = Family(
    "nDCG",
    "DCG / ideal DCG; DCG = Σ_{r ≤ K} gain_r / log₂(r + 1), linear or exponential gain",
    lambda rankings, cutoffs, scale, values: ndcg(
        rankings, cutoffs, GainMap(scale, top=values["max"]).of_kind(values["gain"])
    ),
    {
        "gain": Parameter(
            "linear", choice("linear", "exp"), "what a score is worth: `linear` or `exp`"
        ),
        "max": Parameter(
            HIGHEST_GRADE,
            read_highest_grade,
            "the highest grade: a wider scale is mapped onto 0 … max",
            only_with=("gain", "exp"),
        ),
    },
    spellings={"ndcg_exp": {"gain": "exp"}},
)
