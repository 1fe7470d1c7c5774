"""Propensities from intervention pairs: documents that were shown at several positions.

A document shown for one query at k and at k′ is a natural experiment: its relevance is the same,
so its click rates differ by θ_k / θ_k′ (Joachims, Swaminathan, Schnabel: Unbiased Learning-to-Rank
with Biased Feedback, WSDM 2017; Agarwal, Zaitsev, Wang, Li, Najork, Joachims: Estimating Position
Bias without Intrusive Interventions, WSDM 2019).
"""

from __future__ import annotations

import numpy as np

from rankfield.errors import InputError
from rankfield.labels.click_model import (
    ClickCounts,
    Floats,
    PositionModel,
    fit_position_model,
)

__all__ = ["fit_all_pairs", "intervention_counts"]


def intervention_counts(counts: ClickCounts) -> tuple[ClickCounts, Floats]:
    """Return the intervention pairs as click counts, and the evidence for each pair of positions.

    Every two positions k < k′ of a (query, document) add v = min(n_k, n_k′) impressions at each,
    and v · c_k / n_k clicks at k: the two sides then weigh the same documents equally, which is
    what makes them comparable. (Agarwal et al. weigh every document alike, v = 1 by known policies;
    with observed counts a document shown once would count as much as one shown a thousand times.)

    Returns:
        Counts whose "pair" is a pair of positions, two cells each; and float64, their impressions.

    Raises:
        InputError: no document was shown at two positions.
    """
    n_positions = int(counts.position.max()) + 1
    sums = np.zeros((3, n_positions * n_positions))
    rate = counts.clicks / counts.impressions
    for shift in range(1, n_positions):
        same = counts.pair[:-shift] == counts.pair[shift:]
        if not same.any():
            break
        i = np.flatnonzero(same)
        j = i + shift
        swapped = counts.position[i] > counts.position[j]
        i, j = np.where(swapped, j, i), np.where(swapped, i, j)
        weight = np.minimum(counts.impressions[i], counts.impressions[j])
        code = counts.position[i] * n_positions + counts.position[j]
        for row, values in enumerate((weight, weight * rate[i], weight * rate[j])):
            sums[row] += np.bincount(code, values, sums.shape[1])
    codes = np.flatnonzero(sums[0])
    if codes.size == 0:
        raise InputError(
            "no document was shown at two positions for the same query",
            where="propensities, interventions",
            remedy="Give known propensities, or log more variation of positions.",
        )
    weight, high, low = sums[:, codes]
    pairs_of_positions = ClickCounts(
        pair=np.repeat(np.arange(codes.size), 2),
        position=np.stack([codes // n_positions, codes % n_positions], 1).ravel(),
        impressions=np.repeat(weight, 2),
        # a sum of rates may pass its bound by rounding
        clicks=np.minimum(np.stack([high, low], 1).ravel(), np.repeat(weight, 2)),
    )
    return pairs_of_positions, weight


def fit_all_pairs(counts: ClickCounts) -> PositionModel:
    """Return the AllPairs estimate of θ from intervention pairs.

    It maximises Σ over k ≠ k′ of ĉ log(θ_k r_kk′) + (v − ĉ) log(1 − θ_k r_kk′), r being the mean
    relevance of the documents shown at both: the position-based model of pairs of positions, so
    the same EM fits it. `relevance` of the result is r.

    Raises:
        InputError: as `intervention_counts`.
    """
    return fit_position_model(intervention_counts(counts)[0])
