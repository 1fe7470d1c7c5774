"""Metrics that ask only whether a document is relevant: its score ≥ a threshold."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.rankings import FloatArray, JudgedRankings

__all__ = ["average_precision", "precision", "recall", "reciprocal_rank"]


def reciprocal_rank(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return 1 / rank of the first relevant document within k, else 0; float64 (Q,), in [0, 1].

    Raises:
        MetricError: k < 1.
    """
    relevant = rankings.relevant(k, threshold)
    if not relevant.shape[1]:
        return np.zeros(len(rankings))
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1.0), 0.0)


def average_precision(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return average precision over the first k ranks, float64 (Q,), in [0, 1].

    AP@k = Σ_{r ≤ k, relevant} precision@r / (number of relevant documents, retrieved or not).
    NaN where no judged document is relevant.

    Raises:
        MetricError: k < 1.
    """
    relevant = rankings.relevant(k, threshold)
    found = np.cumsum(relevant, axis=1, dtype=np.float64)
    found *= relevant
    sums = found @ (1.0 / np.arange(1, relevant.shape[1] + 1, dtype=np.float64))
    return _divided(sums, rankings.relevant_counts(threshold).astype(np.float64))


def recall(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return the share of all relevant documents that are within k, float64 (Q,), in [0, 1].

    NaN where no judged document is relevant.

    Raises:
        MetricError: k < 1.
    """
    found = rankings.relevant(k, threshold).sum(axis=1, dtype=np.float64)
    return _divided(found, rankings.relevant_counts(threshold).astype(np.float64))


def precision(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return the relevant documents within k, divided by k; float64 (Q,), in [0, 1].

    A list shorter than k is divided by k too, as in trec_eval.

    Raises:
        MetricError: k < 1.
    """
    shares: FloatArray = rankings.relevant(k, threshold).sum(axis=1, dtype=np.float64) / k
    return shares


def _divided(values: FloatArray, counts: FloatArray) -> FloatArray:
    shares = np.full(values.shape, np.nan)
    np.divide(values, counts, out=shares, where=counts > 0)
    return shares
