"""Metrics that ask only whether a document is relevant: its score ≥ a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankfield.metrics.rankings import FloatArray, JudgedRankings

__all__ = [
    "average_precision",
    "average_precision_at",
    "precision",
    "precision_at",
    "recall",
    "recall_at",
    "reciprocal_rank",
    "reciprocal_rank_at",
]


def reciprocal_rank(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return 1 / rank of the first relevant document within k, else 0; float64 (Q,), in [0, 1].

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = reciprocal_rank_at(rankings, [k], threshold)[0]
    return values


def reciprocal_rank_at(
    rankings: JudgedRankings, cutoffs: Sequence[int], threshold: float
) -> FloatArray:
    """Return `reciprocal_rank` at each of the cutoffs, float64 (C, Q)."""
    first = np.cumsum(rankings.relevant(threshold), axis=1) == 1
    first[:, 1:] &= ~first[:, :-1]
    return rankings.sums_at(first / rankings.judged_ranks, cutoffs)


def average_precision(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return average precision over the first k ranks, float64 (Q,), in [0, 1].

    AP@k = Σ_{r ≤ k, relevant} precision@r / (number of relevant documents, retrieved or not).
    NaN where no judged document is relevant.

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = average_precision_at(rankings, [k], threshold)[0]
    return values


def average_precision_at(
    rankings: JudgedRankings, cutoffs: Sequence[int], threshold: float
) -> FloatArray:
    """Return `average_precision` at each of the cutoffs, float64 (C, Q)."""
    relevant = rankings.relevant(threshold)
    precisions = np.cumsum(relevant, axis=1) * relevant / rankings.judged_ranks
    return _per_relevant(rankings.sums_at(precisions, cutoffs), rankings, threshold)


def recall(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return the share of all relevant documents that are within k, float64 (Q,), in [0, 1].

    NaN where no judged document is relevant.

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = recall_at(rankings, [k], threshold)[0]
    return values


def recall_at(rankings: JudgedRankings, cutoffs: Sequence[int], threshold: float) -> FloatArray:
    """Return `recall` at each of the cutoffs, float64 (C, Q)."""
    return _per_relevant(_found(rankings, cutoffs, threshold), rankings, threshold)


def precision(rankings: JudgedRankings, k: int, threshold: float) -> FloatArray:
    """Return the relevant documents within k, divided by k; float64 (Q,), in [0, 1].

    A list shorter than k is divided by k too, as in trec_eval.

    Raises:
        MetricError: k < 1.
    """
    values: FloatArray = precision_at(rankings, [k], threshold)[0]
    return values


def precision_at(rankings: JudgedRankings, cutoffs: Sequence[int], threshold: float) -> FloatArray:
    """Return `precision` at each of the cutoffs, float64 (C, Q)."""
    shares: FloatArray = _found(rankings, cutoffs, threshold) / np.array(cutoffs)[:, None]
    return shares


def _found(rankings: JudgedRankings, cutoffs: Sequence[int], threshold: float) -> FloatArray:
    return rankings.sums_at(rankings.relevant(threshold).astype(np.float64), cutoffs)


def _per_relevant(values: FloatArray, rankings: JudgedRankings, threshold: float) -> FloatArray:
    counts = rankings.relevant_counts(threshold)
    shares = np.full(values.shape, np.nan)
    np.divide(values, counts, out=shares, where=counts > 0)
    return shares
