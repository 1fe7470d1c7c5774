"""Inferred average precision, infAP (Yilmaz and Aslam, CIKM 2006), as trec_eval computes it."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, per_relevant, threshold_of

__all__ = ["INFAP", "inferred_average_precision"]

_EPSILON = 0.00001
"""Of trec_eval: smooths the share of relevant documents where few are judged."""


def inferred_average_precision(
    rankings: JudgedRankings, k: Cutoffs, threshold: float, floor: float = 0.0
) -> FloatArray:
    """Return infAP over the first k ranks, float64 (Q,); (C, Q) for C cutoffs.

    infAP@k = 1/R · Σ_{r ≤ k, relevant} (1 + p_r · (i_r + ε) / (i_r + n_r + 2ε)) / r: the expected
    precision at r where only a random sample of the pool was judged. i_r relevant and n_r
    nonrelevant documents, and p_r of the pool (these two, and those in the pool but not judged) are
    ranked above r; ε = 0.00001. In the pool but not judged are documents with a score below
    `floor`, as −1 in TREC's qrels; one without any judgment is outside the pool. NaN where R = 0.

    Raises:
        MetricError: k < 1.
    """
    relevant = rankings.relevant(threshold)
    other = rankings.relevant(floor) & ~relevant
    pooled = ~np.isnan(rankings.judged_scores)
    i, n, p = (np.cumsum(rows, axis=1) - rows for rows in (relevant, other, pooled))
    inferred = p * (i + _EPSILON) / (i + n + 2 * _EPSILON)
    terms = relevant * (1.0 + inferred) / rankings.judged_ranks
    return per_relevant(rankings.sums_at(terms, k), rankings, threshold)


INFAP = Family(
    "infAP",
    "Σ_{r ≤ K, relevant} (1 + p_r · (i_r + ε) / (i_r + n_r + 2ε)) / r / R",
    lambda rankings, cutoffs, scale, values: inferred_average_precision(
        rankings, cutoffs, threshold_of(scale, values), scale.floor
    ),
    REL,
    spellings={"inf_ap": {}},
)
