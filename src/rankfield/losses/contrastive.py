"""The loss of Generalized Contrastive Learning: weighted symmetric cross-entropy.

Zhu, Jung, Clark: Generalized Contrastive Learning for Multi-Modal Retrieval and Ranking,
arXiv 2404.08535. With equal weights it is the loss of CLIP (Radford et al., arXiv 2103.00020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses.judged import Direction, Normaliser, check_sums, total_weight

__all__ = ["contrastive_loss"]


def contrastive_loss(
    left: Tensor,
    right: Tensor,
    weights: Tensor,
    logit_scale: Tensor | float,
    *,
    direction: Direction = "both",
    normaliser: Normaliser = "weights",
) -> Tensor:
    """Return the weighted symmetric cross-entropy of N pairs, a scalar in float32 or wider.

    With logits Z = s · L Rᵀ,

        loss = Σᵢ wᵢ · ½ (logsumexpⱼ Zᵢⱼ + logsumexpⱼ Zⱼᵢ − 2 Zᵢᵢ) / n,

    n = Σᵢ wᵢ for "weights" (the default: the loss then does not depend on the weights' unit) or
    n = N for "count" (a batch of light pairs then takes smaller steps). The paper's public text
    does not say which it uses. Weights of 0 alone give a loss of 0. For w = 1 both equal
    ½ (cross_entropy(Z, arange(N)) + cross_entropy(Zᵀ, arange(N))). This is the target "pair": every
    other document of the batch is a negative, judged or not.

    Args:
        left: N × D unit embeddings of queries; half precision is computed in float32.
        right: N × D unit embeddings of documents, row i paired with row i of `left`.
        weights: N weights ≥ 0, in the order of the pairs.
        logit_scale: s > 0, the inverse temperature.
        direction: "rows" has logsumexpⱼ Zᵢⱼ − Zᵢᵢ alone (documents compete), "columns"
            logsumexpⱼ Zⱼᵢ − Zᵢᵢ (queries compete), "both" is half of each.
        normaliser: "weights" or "count".

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown direction or normaliser.
    """
    if left.ndim != 2 or left.shape != right.shape or weights.shape != left.shape[:1]:
        raise ValueError(
            f"expected N × D, N × D and N; found {tuple(left.shape)}, {tuple(right.shape)} "
            f"and {tuple(weights.shape)}"
        )
    if len(left) == 0:
        raise ValueError("expected at least one pair, found none")
    check_sums(direction, normaliser)
    # bf16 logits at scale 100 are 0.5 apart: products and sums stay in float32.
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        logits = logit_scale * (left.to(dtype) @ right.to(dtype).T)
        weights = weights.to(dtype)
        positive = logits.diagonal()
        rows = logits.logsumexp(1) - positive if direction != "columns" else 0.0
        columns = logits.logsumexp(0) - positive if direction != "rows" else 0.0
        halves = 2.0 if direction == "both" else 1.0
        return weights @ (rows + columns) / (halves * total_weight(weights, normaliser))
