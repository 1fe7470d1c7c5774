"""The sigmoid form (SigLIP) of the weighted and the judgment-aware loss.

Zhai et al., Sigmoid Loss for Language Image Pre-Training, arXiv 2303.15343.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.judged import (
    Direction,
    JudgedPairs,
    Normaliser,
    judged_lists,
    total_weight,
)

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

    with n = Σ_e w_e or the number of pairs. "soft" is the binary cross-entropy with the targets
    w_ij / Σ_j w_ij, scaled by the row's weight. For one judgment of w = 1 for each query and
    document every target equals SigLIP's loss.

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
        ValueError: shapes that do not fit, no pair, an unknown target or direction.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(
            f"expected m × D and n × D, found {tuple(left.shape)} and {tuple(right.shape)}"
        )
    if target not in ("mask", "soft", "ranked") or direction not in ("rows", "columns", "both"):
        raise ValueError(f"unknown target {target!r} or direction {direction!r}")
    pairs.check(len(left), len(right))
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        logits = logit_scale * (left.to(dtype) @ right.to(dtype).T) + logit_bias
        weights = pairs.weights.to(dtype)
        loss = logits.new_zeros(())
        if direction != "columns":
            loss = loss + weights @ _losses(logits, pairs, target)
        if direction != "rows":
            loss = loss + weights @ _losses(logits.T, pairs.transposed(), target)
        halves = 2.0 if direction == "both" else 1.0
        return loss / (halves * total_weight(weights, normaliser))


def _losses(logits: Tensor, pairs: JudgedPairs, target: str) -> Tensor:
    """Return each pair's binary cross-entropies, its own and its competitors', P."""
    own = logits[pairs.queries, pairs.documents]
    negative = F.softplus(logits)
    if target == "soft":
        return F.softplus(-own) + negative.sum(1)[pairs.queries] - F.softplus(own)
    judged = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    judged[pairs.queries, pairs.documents] = True
    unjudged = negative.masked_fill(judged, 0.0).sum(1)
    if target == "mask":
        return F.softplus(-own) + unjudged[pairs.queries]
    lists = judged_lists(pairs)
    costs = torch.where(lists.real, F.softplus(own)[lists.pairs], 0.0)
    up_to = torch.cat([unjudged[lists.rows, None], costs], dim=1).cumsum(1)
    below = up_to.gather(1, lists.first_equal)
    lower = torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], below[lists.real])
    return F.softplus(-own) + lower
