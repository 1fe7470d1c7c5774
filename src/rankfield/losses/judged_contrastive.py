"""Softmax cross-entropy that knows every judgment of the batch.

The paper's loss (Zhu, Jung, Clark, arXiv 2404.08535) looks at one pair at a time: every other
document of the batch is a negative, also one that is judged for the same query. Here each judged
pair e = (i, j) competes with a set N(e) of other documents:

soft     all others: the query's weights as a distribution, as in soft-label cross-entropy
mask     the unjudged ones: no judged document is pushed away
ranked   the unjudged ones and those of lower score, so that the loss learns the order: the
         Plackett–Luce likelihood (Plackett 1975; ListMLE, Xia et al. 2008), as in RINCE
         (Hoffmann et al., arXiv 2201.11736). Equal scores never compete.
pair     all others, each pair with a query and a document of its own: the paper's loss
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.contrastive import contrastive_loss
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.large_batches import DEFAULT_MIB, check_memory, pays
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import (
    Direction,
    Reduction,
    check_reduction,
    in_directions,
    weighted,
)
from rankfield.losses.softplus import softplus
from rankfield.losses.targets import Target, check_target, unjudged_and_lower
from rankfield.losses.tiled_contrastive import tiled_judged_contrastive_loss

__all__ = ["JudgedContrastiveLoss", "Target", "judged_contrastive_loss"]


def judged_contrastive_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    target: Target = "ranked",
    direction: Direction = "both",
    reduction: Reduction = "mean",
    margin: float = 0.0,
) -> Tensor:
    """Return the weighted cross-entropy of the judged pairs, a scalar in float32 or wider.

    With logits Z = s · Q Dᵀ and the competitors N(e) of pair e = (i, j), "query_to_document" is

        Σ_e w_e · (log(exp(Z_ij − s·margin) + Σ_{k ∈ N(e)} exp Z_ik) − Z_ij + s·margin) / n

    with n = Σ_e w_e ("mean") or the number of pairs ("batchmean"); "document_to_query" is the same
    on Zᵀ (each judged query of a document competes with the queries for which that document is
    unjudged or of lower score). A pair of weight 0 adds nothing, yet is judged; if all weights are
    0, the loss is 0. With one judgment for each query and each document and no margin, all targets
    equal `contrastive_loss`.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries; half precision is computed in
            float32.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch; for "pair" any, repeated ones too.
        logit_scale: s > 0, the inverse temperature.
        target: which documents a judged one competes with, see above.
        direction: "query_to_document" (documents compete), "document_to_query" (queries compete)
            or "both", half of each.
        reduction: "mean", "batchmean", "sum" (n = 1), or "none": P weighted losses.
        margin: a judged pair's cosine must exceed its competitors' by this (additive margin
            softmax, Wang et al., arXiv 1801.05599); 0 to 1, for "mask" and "ranked".

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown target, direction or reduction, a
            margin outside 0 to 1 or for "soft" or "pair".
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    check_reduction(direction, reduction)
    check_target(target, margin)
    if target == "pair":
        return contrastive_loss(
            query_embeddings[pairs.queries],
            document_embeddings[pairs.documents],
            pairs.weights,
            logit_scale,
            direction=direction,
            reduction=reduction,
        )
    # bf16 logits at scale 100 are 0.5 apart: products and sums stay in float32.
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        logits = logit_scale * (query_embeddings.to(dtype) @ document_embeddings.to(dtype).T)
        shift = logit_scale * margin if margin else 0.0
        weights = pairs.weights.to(dtype)
        losses = (_losses(z, e, target, shift) for z, e in in_directions(logits, pairs, direction))
        return weighted(losses, weights, direction, reduction)


class JudgedContrastiveLoss(RankingLoss):
    """Cross-entropy that knows every judgment: judged documents are no accidental negatives.

    The module of `judged_contrastive_loss`, whose keywords it takes. A batch that is large enough
    for it to pay is computed by `tiled_judged_contrastive_loss`.

    memory_mib: MiB of logits that such a batch may keep for backward, beside the embeddings.
    distributed: every process of the default group calls with equal arguments, of a batch that all
        hold (`gather_shares`), and computes its part of a large one.
    """

    def __init__(
        self,
        *,
        target: Target = "ranked",
        direction: Direction = "both",
        reduction: Reduction = "mean",
        margin: float = 0.0,
        memory_mib: float = DEFAULT_MIB,
        distributed: bool = False,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_reduction(direction, reduction)
        check_target(target, margin)
        check_memory(memory_mib)
        self.memory_mib, self.distributed = memory_mib, distributed
        self.target, self.margin = target, margin
        self.direction, self.reduction = direction, reduction

    @property
    def sampled(self) -> bool:
        """Whether the target is "pair"."""
        return self.target == "pair"

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return `judged_contrastive_loss`."""
        loss = judged_contrastive_loss
        sides = (pairs, pairs) if self.sampled else (query_embeddings, document_embeddings)
        if pays(*(len(side) for side in sides)):
            loss = partial(
                tiled_judged_contrastive_loss,
                memory_mib=self.memory_mib,
                distributed=self.distributed,
            )
        return loss(
            query_embeddings,
            document_embeddings,
            pairs,
            self.scale(logit_scale),
            target=self.target,
            direction=self.direction,
            reduction=self.reduction,
            margin=self.margin,
        )


def _losses(logits: Tensor, pairs: JudgedPairs, target: Target, shift: Tensor | float) -> Tensor:
    """Return each pair's cross-entropy among its competitors, P."""
    if target == "soft":
        return -F.log_softmax(logits, dim=1)[pairs.queries, pairs.documents]
    own = logits[pairs.queries, pairs.documents]
    judged = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    judged[pairs.queries, pairs.documents] = True
    unjudged = logits.masked_fill(judged, NO_LOGIT).logsumexp(1)
    others = unjudged[pairs.queries]
    if target == "ranked":
        others = unjudged_and_lower(own, unjudged, pairs)
    # log(exp a + exp b) − a = softplus(b − a), without the cancellation of a loss near 0.
    return softplus(others - own + shift)
