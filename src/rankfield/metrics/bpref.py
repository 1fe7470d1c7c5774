"""Binary preference, bpref (Buckley and Voorhees, SIGIR 2004), as trec_eval computes it."""

from __future__ import annotations

import numpy as np

from rankfield.metrics.family import Family
from rankfield.metrics.rankings import Cutoffs, FloatArray, JudgedRankings
from rankfield.metrics.relevance import REL, per_relevant, threshold_of

__all__ = ["BPREF", "bpref"]


def bpref(rankings: JudgedRankings, k: Cutoffs, threshold: float, floor: float = 0.0) -> FloatArray:
    """Return bpref over the first k ranks, float64 (Q,), in [0, 1]; (C, Q) for C cutoffs.

    bpref@k = 1/R · Σ_{r ≤ k, relevant} (1 − min(n_r, R) / min(N, R)), with R relevant and N
    nonrelevant judged documents, retrieved or not, and n_r of the N ranked above r; the term is 1
    where n_r = 0. Documents without a judgment count neither way, nor do those with a score below
    `floor`, which in TREC's qrels are in the pool but not judged. NaN where R = 0.

    Raises:
        MetricError: k < 1.
    """
    relevant = rankings.relevant(threshold)
    above = np.cumsum(rankings.relevant(floor) & ~relevant, axis=1)
    count = rankings.relevant_counts(threshold)
    others = np.maximum(rankings.relevant_counts(floor) - count, 0)
    most = np.maximum(np.minimum(others, count), 1)[:, None]
    terms = relevant * (1.0 - np.minimum(above, count[:, None]) / most)
    return per_relevant(rankings.sums_at(terms, k), rankings, threshold)


BPREF = Family(
    "Bpref",
    "Σ_{r ≤ K, relevant} (1 − min(n_r, R) / min(N, R)) / R",
    lambda rankings, cutoffs, scale, values: bpref(
        rankings, cutoffs, threshold_of(scale, values), scale.floor
    ),
    REL,
)
