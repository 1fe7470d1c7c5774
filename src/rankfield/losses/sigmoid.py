"""The sigmoid form (SigLIP) of the weighted and the judgment-aware loss.

Zhai et al., Sigmoid Loss for Language Image Pre-Training, arXiv 2303.15343.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from rankfield.losses.judged import (
    Direction,
    JudgedPairs,
    Normaliser,
    check_batch,
    check_sums,
    judged_lists,
    total_weight,
)
from rankfield.losses.softplus import softplus

__all__ = ["sigmoid_loss"]


def sigmoid_loss(
    left: Tensor,
    right: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float,
    *,
    target: Literal["mask", "soft", "ranked"] = "mask",
    direction: Direction = "both",
    normaliser: Normaliser = "weights",
) -> Tensor:
    """Return the weighted sum of binary cross-entropies, a scalar in float32 or wider.

    With X = s · L Rᵀ + b and the competitors N(e) of pair e = (i, j) as in
    `judged_contrastive_loss`,

        rows = Σ_e w_e · (softplus(−X_ij) + Σ_{k ∈ N(e)} softplus(X_ik)) / n

    with n = Σ_e w_e ("weights") or the number of pairs ("count"); "columns" is the same on Xᵀ.
    "soft" is the binary cross-entropy with the targets w_ij / Σ_j w_ij, scaled by the row's weight.
    Weights of 0 alone give a loss of 0. For one judgment of w = 1 for each query and document every
    target in every direction equals SigLIP's loss.

    Args:
        left: m × D unit embeddings of distinct queries; half precision is computed in float32.
        right: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch.
        logit_scale: s > 0, the inverse temperature.
        logit_bias: b; SigLIP begins at −10, since nearly all pairs are negative.
        target: "mask", "soft" or "ranked".
        direction: "rows", "columns" or "both": ½ (rows + columns).
        normaliser: "weights" or "count".

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown target, direction or normaliser.
    """
    check_batch(left, right, pairs)
    check_sums(direction, normaliser)
    if target not in ("mask", "soft", "ranked"):
        raise ValueError(f"expected the target mask, soft or ranked, found {target!r}")
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        logits = logit_scale * (left.to(dtype) @ right.to(dtype).T) + logit_bias
        weights = pairs.weights.to(dtype)
        loss = logits.new_zeros(())
        if direction != "columns":
            loss = loss + _total(logits, pairs, weights, target)
        if direction != "rows":
            loss = loss + _total(logits.T, pairs.transposed(), weights, target)
        halves = 2.0 if direction == "both" else 1.0
        return loss / (halves * total_weight(weights, normaliser))


def _total(logits: Tensor, pairs: JudgedPairs, weights: Tensor, target: str) -> Tensor:
    """Return the weighted sum of each pair's own cross-entropy and its competitors'."""
    place = pairs.queries, pairs.documents
    own = logits[place]
    positive = weights @ softplus(-own)
    negative = softplus(logits)
    if target == "soft":
        # Of the row's weight all but its own pushes a document: 0 exactly where it is alone.
        judged_weight = torch.zeros_like(logits).index_put(place, weights)
        others = judged_weight.sum(1, keepdim=True) - judged_weight
        return positive + (others * negative).sum()
    judged = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    judged[place] = True
    unjudged = negative.masked_fill(judged, 0.0).sum(1)
    if target == "mask":
        return positive + weights @ unjudged[pairs.queries]
    lists = judged_lists(pairs)
    costs = torch.where(lists.real, softplus(own)[lists.pairs], 0.0)
    up_to = torch.cat([unjudged[lists.rows, None], costs], dim=1).cumsum(1)
    below = up_to.gather(1, lists.first_equal)
    return positive + weights[lists.pairs[lists.real]] @ below[lists.real]
