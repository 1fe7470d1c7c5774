"""The loss of Generalized Contrastive Learning: weighted symmetric cross-entropy.

Zhu, Jung, Clark: Generalized Contrastive Learning for Multi-Modal Retrieval and Ranking,
arXiv 2404.08535. With equal weights it is the loss of CLIP (Radford et al., arXiv 2103.00020).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from rankfield.losses.judged_pairs import JudgedPairs, check_rows
from rankfield.losses.large_batches import DEFAULT_MIB, check_memory, pays
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import Direction, Reduction, check_reduction, weighted
from rankfield.losses.tiled_contrastive import tiled_contrastive_loss

__all__ = ["ContrastiveLoss", "contrastive_loss"]


def contrastive_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    weights: Tensor,
    logit_scale: Tensor | float,
    *,
    direction: Direction = "both",
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the weighted symmetric cross-entropy of N pairs, a scalar in float32 or wider.

    With logits Z = s · Q Dᵀ,

        loss = Σᵢ wᵢ · ½ (logsumexpⱼ Zᵢⱼ + logsumexpⱼ Zⱼᵢ − 2 Zᵢᵢ) / n,

    n = Σᵢ wᵢ for "mean" (the default: the loss then does not depend on the weights' unit) or n = N
    for "batchmean" (a batch of light pairs then takes smaller steps). The paper's public text does
    not say which it uses. If all weights are 0, the loss is 0. For w = 1 both equal
    ½ (cross_entropy(Z, arange(N)) + cross_entropy(Zᵀ, arange(N))). Every other document of the
    batch is a negative, judged or not.

    Args:
        query_embeddings: N × D unit embeddings; half precision is computed in float32.
        document_embeddings: N × D unit embeddings, row i paired with row i of the queries.
        weights: N weights ≥ 0, in the order of the pairs.
        logit_scale: s > 0, the inverse temperature.
        direction: "query_to_document" has logsumexpⱼ Zᵢⱼ − Zᵢᵢ alone (documents compete),
            "document_to_query" logsumexpⱼ Zⱼᵢ − Zᵢᵢ (queries compete), "both" is half of each.
        reduction: "mean", "batchmean", "sum" (n = 1), or "none": N weighted losses.

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown direction or reduction.
    """
    check_rows(query_embeddings, document_embeddings, weights)
    check_reduction(direction, reduction)
    # bf16 logits at scale 100 are 0.5 apart: products and sums stay in float32.
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        logits = logit_scale * (query_embeddings.to(dtype) @ document_embeddings.to(dtype).T)
        positive = logits.diagonal()
        documents = logits.logsumexp(1) - positive if direction != "document_to_query" else 0.0
        queries = logits.logsumexp(0) - positive if direction != "query_to_document" else 0.0
        losses = torch.as_tensor(documents + queries)
        return weighted([losses], weights.to(dtype), direction, reduction)


class ContrastiveLoss(RankingLoss):
    """Cross-entropy of pairs, weighted by score: the paper's loss, with equal weights CLIP's.

    The module of `contrastive_loss`. In place of N weights a call also takes `JudgedPairs`: then
    each pair becomes a row of its own. A batch that is large enough for it to pay is computed by
    `tiled_contrastive_loss`.

    memory_mib: MiB of logits that such a batch may keep for backward, beside the embeddings.
    distributed: every process of the default group calls with equal arguments, of a batch that all
        hold (`gather_shares`), and computes its part of a large one.
    """

    def __init__(
        self,
        *,
        direction: Direction = "both",
        reduction: Reduction = "mean",
        memory_mib: float = DEFAULT_MIB,
        distributed: bool = False,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_reduction(direction, reduction)
        check_memory(memory_mib)
        self.memory_mib, self.distributed = memory_mib, distributed
        self.direction, self.reduction = direction, reduction

    @property
    def sampled(self) -> bool:
        """True: it takes pairs, not judgments."""
        return True

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        weights: Tensor | JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return `contrastive_loss`."""
        if isinstance(weights, JudgedPairs):
            query_embeddings = query_embeddings[weights.queries]
            document_embeddings = document_embeddings[weights.documents]
            weights = weights.weights
        loss = contrastive_loss
        if pays(len(weights), len(weights)):
            loss = partial(
                tiled_contrastive_loss, memory_mib=self.memory_mib, distributed=self.distributed
            )
        return loss(
            query_embeddings,
            document_embeddings,
            weights,
            self.scale(logit_scale),
            direction=self.direction,
            reduction=self.reduction,
        )
