"""Precision."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, by_relevance, relevant_within

__all__ = ["PRECISION", "precision"]


def precision(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return the relevant documents within k, divided by k; float64 (Q,), in [0, 1].

    A list shorter than k is divided by k too, as in trec_eval. (C, Q) for C cutoffs.

    Raises:
        MetricError: k < 1.
    """
    found = relevant_within(rankings, k, threshold)
    shares: FloatArray = found / np.asarray(k)[..., None]
    return shares


PRECISION = Family(
    "P",
    "relevant documents within K / K",
    by_relevance(precision),
    REL,
    spellings={"precision": {}},
    needs_cutoff=True,
)
