"""Normalised discounted cumulative gain (Järvelin and Kekäläinen, TOIS 20(4), 2002)."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.rankings import FloatArray, Gain, JudgedRankings

__all__ = ["ndcg"]


def ndcg(rankings: JudgedRankings, k: int, gain: Gain) -> FloatArray:
    """Return NDCG@k of each query, float64 (Q,), in [0, 1].

    NDCG@k = DCG / ideal DCG, DCG = Σ_{r ≤ k} gain(score_r) / log2(r + 1). The ideal is the DCG
    of all judged documents of the query, retrieved or not, in the best order; unjudged documents
    have gain 0. NaN where no judged document has a positive gain. With `GainMap.linear` this is
    trec_eval's nDCG, with `GainMap.exponential` that of Burges et al. (2005).

    Raises:
        MetricError: k < 1.
    """
    found = rankings.gains(k, gain)
    discounted = found @ _discounts(found.shape[1])
    ideal = rankings.ideal_gains(k, gain) @ _discounts(k)
    values = np.full(len(rankings), np.nan)
    np.divide(discounted, ideal, out=values, where=ideal > 0)
    # Equal sums taken over different lengths may differ in the last bit.
    bounded: FloatArray = np.minimum(values, 1.0)
    return bounded


def _discounts(k: int) -> FloatArray:
    discounts: FloatArray = 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return discounts
