"""Recall."""

from __future__ import annotations

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, by_relevance, per_relevant, relevant_within

__all__ = ["RECALL", "recall"]


def recall(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return the share of all relevant documents that are within k, float64 (Q,), in [0, 1].

    NaN where no judged document is relevant. (C, Q) for C cutoffs.

    Raises:
        MetricError: k < 1.
    """
    return per_relevant(relevant_within(rankings, k, threshold), rankings, threshold)


RECALL = Family(
    "R",
    "relevant documents within K / number of relevant documents",
    by_relevance(recall),
    REL,
    spellings={"recall": {}},
    needs_cutoff=True,
)
