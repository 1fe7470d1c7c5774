"""Normalised discounted cumulative gain (Järvelin and Kekäläinen, TOIS 20(4), 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankfield.metrics.rankings import FloatArray, Gain, IntArray, JudgedRankings

__all__ = ["ndcg", "ndcg_at"]


def ndcg(rankings: JudgedRankings, k: int, gain: Gain) -> FloatArray:
    """Return nDCG@k of each query, float64 (Q,), in [0, 1].

    nDCG@k = DCG / ideal DCG, DCG = Σ_{r ≤ k} gain(score_r) / log2(r + 1). The ideal is the DCG
    of all judged documents of the query, retrieved or not, in the best order; unjudged documents
    have gain 0. NaN where no judged document has a positive gain. With `GainMap.linear` this is
    trec_eval's nDCG, with `GainMap.exponential` that of Burges et al. (2005).

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = ndcg_at(rankings, [k], gain)[0]
    return values


def ndcg_at(rankings: JudgedRankings, cutoffs: Sequence[int], gain: Gain) -> FloatArray:
    """Return `ndcg` at each of the cutoffs, float64 (C, Q)."""
    found = rankings.sums_at(rankings.gains(gain) / _discount(rankings.judged_ranks), cutoffs)
    ideal = _ideal(rankings.ideal_gains(max(cutoffs), gain), cutoffs)
    values = np.full(found.shape, np.nan)
    np.divide(found, ideal, out=values, where=ideal > 0)
    # The two sums may differ in the last bit.
    bounded: FloatArray = np.minimum(values, 1.0)
    return bounded


def _ideal(gains: FloatArray, cutoffs: Sequence[int]) -> FloatArray:
    """Return the DCG of gains (Q, M) at ranks 1 … M, at each cutoff, (C, Q)."""
    count, width = gains.shape
    running = np.zeros((count, width + 1))
    np.cumsum(gains / _discount(np.arange(1, width + 1)), axis=1, out=running[:, 1:])
    columns: FloatArray = running.T[np.minimum(cutoffs, width)]
    return columns


def _discount(ranks: IntArray) -> FloatArray:
    discounts: FloatArray = np.log2(ranks + 1.0)
    return discounts
