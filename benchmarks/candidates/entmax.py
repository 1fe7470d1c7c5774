"""α-entmax in the softmax's place: competitors that are far below have no part in the loss.

With the own logit z_0 = Z_ij − s · margin of a judged pair e = (i, j) and the logits z_1, z_2, … of
its competitors, the Fenchel–Young loss of α-entmax (Peters, Niculae, Martins, arXiv 1905.05702,
Equations 5 and 6; Blondel et al., arXiv 1901.02324) is

    max_p (p · z + H(p)) − z_0,    H(p) = Σ_k (p_k − p_k^α) / (α (α − 1))

over the distributions p. The best has p_k = [(α − 1) z_k − τ]₊^(1 / (α − 1)), with τ such that
they add up to 1, exact by sorting. The loss is 0 where z_0 leads by 1 / (α − 1), and its gradient
is p − (1, 0, 0, …). α → 1 is the softmax: H is Shannon's entropy, the loss the cross-entropy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses import JudgedContrastiveLoss, JudgedPairs
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.judged_pairs import check_batch
from rankfield.losses.reduction import Direction, Reduction, in_directions, weighted

__all__ = ["EntmaxLoss", "entmax", "fenchel_young"]

_ALPHAS = (1.0, 1.5, 2.0)


class EntmaxLoss(JudgedContrastiveLoss):
    """The default loss with α-entmax in the softmax's place; alpha = 1 is the default.

    It takes P × n logits, sorted: for batches of benchmarks, not for large ones.

    alpha: 1.5, or 2 for sparsemax (Martins and Astudillo, arXiv 1602.02068).

    Raises:
        ValueError: another alpha, or another target than "ranked" or "mask".
    """

    def __init__(
        self,
        *,
        alpha: float = 1.5,
        target: Target = "ranked",
        direction: Direction = "both",
        reduction: Reduction = "mean",
        margin: float = 0.0,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(
            target=target,
            direction=direction,
            reduction=reduction,
            margin=margin,
            logit_scale=logit_scale,
        )
        if target not in ("ranked", "mask"):
            raise ValueError(f"expected the target ranked or mask, found {target!r}")
        if alpha not in _ALPHAS:
            raise ValueError(f"expected an alpha of {_ALPHAS}, found {alpha}")
        self.alpha = alpha

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar."""
        if self.alpha == 1.0:
            return super().forward(query_embeddings, document_embeddings, pairs, logit_scale)
        check_batch(query_embeddings, document_embeddings, pairs)
        scale = self.scale(logit_scale)
        dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
        with torch.autocast(query_embeddings.device.type, enabled=False):
            logits = scale * (query_embeddings.to(dtype) @ document_embeddings.to(dtype).T)
            sides = in_directions(logits, pairs, self.direction)
            losses = (self._losses(z, known, scale) for z, known in sides)
            return weighted(losses, pairs.weights.to(dtype), self.direction, self.reduction)

    def _losses(self, logits: Tensor, pairs: JudgedPairs, scale: Tensor | float) -> Tensor:
        """Return each pair's loss, P."""
        scores = torch.full_like(logits, -torch.inf, dtype=pairs.scores.dtype)
        scores[pairs.queries, pairs.documents] = pairs.scores
        of_pairs = scores[pairs.queries]
        competing = of_pairs == -torch.inf
        if self.target == "ranked":
            competing |= of_pairs < pairs.scores[:, None]
        own = logits[pairs.queries, pairs.documents] - scale * self.margin
        others = torch.where(competing, logits[pairs.queries], NO_LOGIT)
        return fenchel_young(torch.cat([own[:, None], others], dim=1), self.alpha)


def fenchel_young(logits: Tensor, alpha: float) -> Tensor:
    """Return the loss of the first of each row's logits, R, at least 0; see above.

    It can be differentiated once.

    Args:
        logits: R × K.
        alpha: 1.5 or 2.
    """
    # By the envelope theorem the best p counts as constant.
    p = entmax(logits.detach(), alpha)
    entropy = (p * (1.0 - p ** (alpha - 1.0))).sum(1) / (alpha * (alpha - 1.0))
    return (p * (logits - logits[:, :1])).sum(1) + entropy


def entmax(logits: Tensor, alpha: float) -> Tensor:
    """Return α-entmax of each row, R × K: p_k = [(α − 1) z_k − τ]₊^(1 / (α − 1)), Σ p = 1.

    α = 1.5 is Algorithm 2 of Peters et al. (arXiv 1905.05702), α = 2 Algorithm 1 of Martins and
    Astudillo (arXiv 1602.02068).

    Args:
        logits: R × K.
        alpha: 1.5 or 2.
    """
    z = (alpha - 1.0) * (logits - logits.amax(1, keepdim=True))
    # τ ≥ −1, as p ≤ 1: what is at −1 or below has p = 0, and squares stay small.
    z = z.clamp(min=-1.0)
    sorted_z = z.sort(dim=1, descending=True).values
    count = torch.arange(1, z.shape[1] + 1, device=z.device, dtype=z.dtype)
    mean = sorted_z.cumsum(1) / count
    if alpha == 2.0:
        thresholds = mean - 1.0 / count
    else:
        variance = (sorted_z.square().cumsum(1) / count - mean.square()).clamp(min=0.0)
        thresholds = mean - (1.0 / count - variance).clamp(min=0.0).sqrt()
    # The support is a prefix; rounding must not find members of it behind its end.
    support = (thresholds < sorted_z).long().cumprod(1).sum(1, keepdim=True).clamp(min=1)
    return (z - thresholds.gather(1, support - 1)).clamp(min=0.0) ** (1.0 / (alpha - 1.0))
