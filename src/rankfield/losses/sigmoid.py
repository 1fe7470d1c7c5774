"""The sigmoid form (SigLIP) of the weighted and the judgment-aware loss.

Zhai et al., Sigmoid Loss for Language Image Pre-Training, arXiv 2303.15343.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.large_batches import DEFAULT_MIB, check_memory, pays
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import (
    Direction,
    Reduction,
    check_choice,
    check_reduction,
    divisor,
    in_directions,
    weighted,
)
from rankfield.losses.softplus import softplus
from rankfield.losses.targets import Target, unjudged_and_lower_sums
from rankfield.losses.tiled_sigmoid import tiled_sigmoid_loss

__all__ = ["SigmoidLoss", "sigmoid_loss"]


def sigmoid_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float,
    *,
    target: Target = "mask",
    direction: Direction = "both",
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the weighted sum of binary cross-entropies, a scalar in float32 or wider.

    With X = s · Q Dᵀ + b and the competitors N(e) of pair e = (i, j) as in
    `judged_contrastive_loss`, "query_to_document" is

        Σ_e w_e · (softplus(−X_ij) + Σ_{k ∈ N(e)} softplus(X_ik)) / n

    with n = Σ_e w_e ("mean") or the number of pairs ("batchmean"); "document_to_query" is the same
    on Xᵀ. "soft" is the binary cross-entropy with the targets w_ij / Σ_j w_ij, scaled by the
    query's weight. If all weights are 0, the loss is 0. For one judgment of w = 1 for each query
    and document every target in every direction equals SigLIP's loss.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries; half precision is computed in
            float32.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch; for "pair" any, repeated ones too.
        logit_scale: s > 0, the inverse temperature.
        logit_bias: b; SigLIP begins at −10, since nearly all pairs are negative.
        target: "mask", "soft", "ranked" or "pair".
        direction: "query_to_document", "document_to_query" or "both", half of each.
        reduction: "mean", "batchmean", "sum" (n = 1), or "none": P weighted losses.

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown target, direction or reduction.
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    check_reduction(direction, reduction)
    check_choice("target", target, Target)
    if target == "pair":
        query_embeddings = query_embeddings[pairs.queries]
        document_embeddings = document_embeddings[pairs.documents]
        pairs, target = pairs.one_by_one(), "mask"
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        products = query_embeddings.to(dtype) @ document_embeddings.to(dtype).T
        logits = logit_scale * products + logit_bias
        weights = pairs.weights.to(dtype)
        sides = in_directions(logits, pairs, direction)
        if reduction == "none":
            losses = (_losses(x, known, target) for x, known in sides)
            return weighted(losses, weights, direction, reduction)
        loss = logits.new_zeros(())
        for x, known in sides:
            loss = loss + _total(x, known, weights, target)
        return loss / divisor(weights, direction, reduction)


class SigmoidLoss(RankingLoss):
    """Binary cross-entropies in the softmax's place, with a bias: SigLIP's loss with weights.

    The module of `sigmoid_loss`, whose keywords it takes. As the logit scale, the bias is the
    model's, or else a parameter of the loss: `logit_bias` is then where it begins. A batch that is
    large enough for it to pay is computed by `tiled_sigmoid_loss`.

    memory_mib: MiB of logits that such a batch may keep for backward, beside the embeddings.
    distributed: every process of the default group calls with equal arguments, of a batch that all
        hold (`gather_shares`), and computes its part of a large one.
    """

    takes_bias: ClassVar[bool] = True
    own_logit_bias: nn.Parameter | None

    def __init__(
        self,
        *,
        target: Target = "mask",
        direction: Direction = "both",
        reduction: Reduction = "mean",
        memory_mib: float = DEFAULT_MIB,
        distributed: bool = False,
        logit_scale: float | None = None,
        logit_bias: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_reduction(direction, reduction)
        check_choice("target", target, Target)
        check_memory(memory_mib)
        self.memory_mib, self.distributed = memory_mib, distributed
        self.target, self.direction, self.reduction = target, direction, reduction
        own = None if logit_bias is None else nn.Parameter(torch.tensor(float(logit_bias)))
        self.register_parameter("own_logit_bias", own)

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
        logit_bias: Tensor | float | None = None,
    ) -> Tensor:
        """Return `sigmoid_loss`."""
        bias = self.own_logit_bias if logit_bias is None else logit_bias
        if bias is None:
            raise ValueError(
                "there is no logit bias: give the model's with the call, or make the loss with "
                "one that it learns, SigmoidLoss(logit_bias=-10.0)"
            )
        loss = sigmoid_loss
        sides = (pairs, pairs) if self.sampled else (query_embeddings, document_embeddings)
        if pays(*(len(side) for side in sides)):
            loss = partial(
                tiled_sigmoid_loss, memory_mib=self.memory_mib, distributed=self.distributed
            )
        return loss(
            query_embeddings,
            document_embeddings,
            pairs,
            self.scale(logit_scale),
            bias,
            target=self.target,
            direction=self.direction,
            reduction=self.reduction,
        )


def _total(logits: Tensor, pairs: JudgedPairs, weights: Tensor, target: Target) -> Tensor:
    """Return the weighted sum of each pair's own cross-entropy and its competitors'."""
    place = pairs.queries, pairs.documents
    own = logits[place]
    positive = weights @ softplus(-own)
    negative = softplus(logits)
    if target == "soft":
        # Of the query's weight all but its own pushes a document: 0 exactly where it is alone.
        judged_weight = torch.zeros_like(logits).index_put(place, weights)
        others = judged_weight.sum(1, keepdim=True) - judged_weight
        return positive + (others * negative).sum()
    unjudged = _unjudged(negative, pairs)
    if target == "mask":
        return positive + weights @ unjudged[pairs.queries]
    lists, below = unjudged_and_lower_sums(softplus(own), unjudged, pairs)
    return positive + weights[lists.pairs[lists.real]] @ below[lists.real]


def _losses(logits: Tensor, pairs: JudgedPairs, target: Target) -> Tensor:
    """Return each pair's own cross-entropy and its competitors', P."""
    own = logits[pairs.queries, pairs.documents]
    negative = softplus(logits)
    if target == "soft":
        others = negative[pairs.queries]
        itself = torch.zeros_like(others, dtype=torch.bool)
        itself[torch.arange(len(pairs)), pairs.documents] = True
        return softplus(-own) + others.masked_fill(itself, 0.0).sum(1)
    unjudged = _unjudged(negative, pairs)
    if target == "mask":
        return softplus(-own) + unjudged[pairs.queries]
    lists, below = unjudged_and_lower_sums(softplus(own), unjudged, pairs)
    lower = torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], below[lists.real])
    return softplus(-own) + lower


def _unjudged(negative: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return the sum of each query's unjudged documents' cross-entropies, m."""
    judged = torch.zeros(negative.shape, dtype=torch.bool, device=negative.device)
    judged[pairs.queries, pairs.documents] = True
    return negative.masked_fill(judged, 0.0).sum(1)
