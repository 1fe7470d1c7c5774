"""What the metrics that only ask whether a document is relevant have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rankfield.metrics.family import Compute, Parameter, number
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.schema import ScoreScale

__all__ = ["REL", "by_relevance", "per_relevant", "relevant_within", "threshold_of"]

REL = {
    "rel": Parameter(
        None,
        number("a finite number"),
        "scores from here on are relevant",
        of_scale="the scale's `relevant`",
    )
}
"""The parameter by its name."""


def by_relevance(function: Callable[[JudgedRankings, Cutoffs, float], FloatArray]) -> Compute:
    """Return a family's function from one of (rankings, k, threshold).

    A document is relevant if its score ≥ the threshold: `rel`, or else ``scale.relevant``.
    """

    return lambda rankings, cutoffs, scale, values: function(
        rankings, cutoffs, threshold_of(scale, values)
    )


def threshold_of(scale: ScoreScale, values: Mapping[str, Any]) -> float:
    """Return the score from which documents are relevant: `rel`, or else ``scale.relevant``."""
    found: float = scale.relevant if values["rel"] is None else values["rel"]
    return found


def relevant_within(rankings: JudgedRankings, k: Cutoffs, threshold: float) -> FloatArray:
    """Return the number of relevant documents within k, float64 (Q,) or (C, Q)."""
    return rankings.sums_at(rankings.relevant(threshold).astype(np.float64), k)


def per_relevant(values: FloatArray, rankings: JudgedRankings, threshold: float) -> FloatArray:
    """Return values / number of relevant documents, retrieved or not; NaN where there are none."""
    counts = rankings.relevant_counts(threshold)
    shares = np.full(values.shape, np.nan)
    np.divide(values, counts, out=shares, where=counts > 0)
    return shares
