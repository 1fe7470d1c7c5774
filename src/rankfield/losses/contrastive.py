"""The loss of Generalized Contrastive Learning: weighted symmetric cross-entropy.

Zhu, Jung, Clark: Generalized Contrastive Learning for Multi-Modal Retrieval and Ranking,
arXiv 2404.08535. With equal weights it is the loss of CLIP (Radford et al., arXiv 2103.00020).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rankfield.losses.gather import gather_with_gradient

__all__ = ["ContrastiveLoss", "Normaliser", "contrastive_loss"]

Normaliser = Literal["weights", "count"]


def contrastive_loss(
    left: Tensor,
    right: Tensor,
    weights: Tensor,
    logit_scale: Tensor | float,
    *,
    normaliser: Normaliser = "weights",
) -> Tensor:
    """Return the weighted symmetric cross-entropy of N pairs, a scalar in float32 or wider.

    With logits Z = s · L Rᵀ,

        loss = Σᵢ wᵢ · ½ (logsumexpⱼ Zᵢⱼ + logsumexpⱼ Zⱼᵢ − 2 Zᵢᵢ) / n,

    n = Σᵢ wᵢ for "weights" (the default: the loss then does not depend on the weights' unit) or
    n = N for "count" (a batch of light pairs then takes smaller steps). The paper's public text
    does not say which it uses. For w = 1 both equal
    ½ (cross_entropy(Z, arange(N)) + cross_entropy(Zᵀ, arange(N))).

    Args:
        left: N × D unit embeddings of queries; half precision is computed in float32.
        right: N × D unit embeddings of documents, row i paired with row i of `left`.
        weights: N weights ≥ 0, in the order of the pairs.
        logit_scale: s > 0, the inverse temperature.
        normaliser: "weights" or "count".

    Raises:
        ValueError: shapes that do not fit, or an unknown normaliser.
    """
    if left.ndim != 2 or left.shape != right.shape or weights.shape != left.shape[:1]:
        raise ValueError(
            f"expected N × D, N × D and N; found {tuple(left.shape)}, {tuple(right.shape)} "
            f"and {tuple(weights.shape)}"
        )
    if normaliser not in ("weights", "count"):
        raise ValueError(f"expected the normaliser 'weights' or 'count', found {normaliser!r}")
    # bf16 logits at scale 100 are 0.5 apart: products and sums stay in float32.
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        logits = logit_scale * (left.to(dtype) @ right.to(dtype).T)
        weights = weights.to(dtype)
        both = logits.logsumexp(1) + logits.logsumexp(0) - 2.0 * logits.diagonal()
        total = weights.sum() if normaliser == "weights" else float(len(weights))
        return 0.5 * (weights @ both) / total


class ContrastiveLoss(nn.Module):
    """`contrastive_loss` over the pairs of all processes.

    Every process computes the loss of the global batch; the gradient that reaches its embeddings
    is that of the global loss times the number of processes, which data-parallel averaging of
    parameter gradients takes back.
    """

    def __init__(self, normaliser: Normaliser = "weights") -> None:
        super().__init__()
        self.normaliser: Normaliser = normaliser

    def forward(self, left: Tensor, right: Tensor, weights: Tensor, logit_scale: Tensor) -> Tensor:
        """Return the loss of the global batch; arguments as `contrastive_loss`, local rows."""
        left, right, weights = (gather_with_gradient(x) for x in (left, right, weights))
        return contrastive_loss(left, right, weights, logit_scale, normaliser=self.normaliser)
