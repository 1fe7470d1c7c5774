"""Unjudged documents that compete less, as some of them may be relevant.

The default loss of a judged pair e = (i, j), with logits Z, the n unjudged documents U of query i
and those of lower score L, becomes

    log(exp Z_ij + u · g + Σ_{k ∈ L} exp Z_ik) − Z_ij

unjudged = u    each unjudged document counts u, as if log u were added to its logit
prior = τ       g = max((Σ_{k ∈ U} exp Z_ik − n · τ · exp Z_ij) / (1 − τ), n · exp(−s)):
                debiased contrastive loss (Chuang et al., arXiv 2007.00224, Equation 8), where τ
                is the share of relevant documents among the unjudged, s the logit scale. The
                judged document stands for the relevant ones. τ = 0: g = Σ_{k ∈ U} exp Z_ik

"document_to_query" is the same on the transposed logits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rankfield.losses import JudgedContrastiveLoss, JudgedPairs
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.judged_pairs import check_batch
from rankfield.losses.reduction import Direction, Reduction, in_directions, weighted
from rankfield.losses.softplus import softplus
from rankfield.losses.targets import unjudged_and_lower

__all__ = ["UnjudgedLoss"]


class UnjudgedLoss(JudgedContrastiveLoss):
    """The default loss with unjudged documents that count less; unjudged = 1, prior = 0 is it.

    unjudged: above 0, to 1.
    prior: at least 0, below 1.

    Raises:
        ValueError: one of them out of range, or another target than "ranked" or "mask".
    """

    def __init__(
        self,
        *,
        unjudged: float = 1.0,
        prior: float = 0.0,
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
        if not 0.0 < unjudged <= 1.0 or not 0.0 <= prior < 1.0:
            raise ValueError(
                f"expected 0 < unjudged ≤ 1 and 0 ≤ prior < 1, found {unjudged} and {prior}"
            )
        self.unjudged, self.prior = unjudged, prior

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar."""
        if self.unjudged == 1.0 and not self.prior:
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
        own = logits[pairs.queries, pairs.documents]
        judged = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
        judged[pairs.queries, pairs.documents] = True
        unjudged = logits.masked_fill(judged, NO_LOGIT).logsumexp(1)[pairs.queries]
        if self.prior:
            count = (~judged).sum(1)[pairs.queries].to(logits)
            unjudged = _debiased(unjudged, own, count, self.prior, scale)
        others = unjudged + math.log(self.unjudged)
        if self.target == "ranked":
            none = logits.new_full((len(logits),), NO_LOGIT)
            others = torch.logaddexp(others, unjudged_and_lower(own, none, pairs))
        return softplus(others - own + scale * self.margin)


def _debiased(
    unjudged: Tensor, own: Tensor, count: Tensor, prior: float, scale: Tensor | float
) -> Tensor:
    """Return log g of each pair, P, with log Σ_{k ∈ U} exp Z_ik, Z_ij and n of each; see above."""
    some = count > 0
    number = count.clamp(min=1.0).log()
    excess = number + math.log(prior) + own - unjudged  # log of n τ exp Z_ij / Σ
    positive = some & (excess < 0)
    # Where the difference is not positive, the logarithm of another number keeps NaN out of the
    # gradient.
    share = torch.where(positive, excess, -1.0).expm1().neg().log()
    difference = torch.where(positive, unjudged + share - math.log1p(-prior), NO_LOGIT)
    return torch.where(some, torch.maximum(difference, number - scale), NO_LOGIT)
