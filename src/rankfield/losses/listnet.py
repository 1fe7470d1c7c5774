"""ListNet: the shares of weight against the softmax of the logits, over the judged documents.

Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, ICML 2007.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.judged_lists import ListLogits, list_logits
from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import ListReduction, check_choice, of_lists
from rankfield.losses.slabs import lists_by_slab

__all__ = ["ListNetLoss", "listnet_loss"]


def listnet_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    reduction: ListReduction = "mean",
    distributed: bool = False,
) -> Tensor:
    """Return ListNet's top-one cross-entropy, a scalar in float32 or wider.

    With the judged documents J(i) of query i, p_ij = w_ij / Σ_{k ∈ J(i)} w_ik and
    q_ij = exp Z_ij / Σ_{k ∈ J(i)} exp Z_ik:

        loss = mean_i Σ_{j ∈ J(i)} p_ij · (log p_ij − log q_ij),

    over the queries with a judgment: the cross-entropy less the entropy of p, so that 0 is a
    perfect fit. Weights that are exponential in the score make p the softmax of the scores, as in
    the paper. Unjudged documents do not take part; a query with a single judgment, or whose weights
    are all 0, adds 0.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries; half precision is computed in
            float32.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch, with weights ≥ 0.
        logit_scale: s > 0, the inverse temperature.
        reduction: "mean" or "sum" over the queries with a judgment, or "none": their R losses, in
            ascending order of the query.
        distributed: every process of the default group calls with equal arguments and computes its
            part of the lists, as in `tiled_contrastive_loss`.

    Raises:
        ValueError: shapes that do not fit, no pair, an unknown reduction.
    """
    check_choice("reduction", reduction, ListReduction)
    check_batch(query_embeddings, document_embeddings, pairs)

    def losses(chosen: Tensor) -> Tensor:
        known = pairs.chosen(chosen)
        return _losses(list_logits(query_embeddings, document_embeddings, known, logit_scale))

    with torch.autocast(query_embeddings.device.type, enabled=False):
        return of_lists(lists_by_slab(losses, pairs, distributed), reduction)


class ListNetLoss(RankingLoss):
    """ListNet: the weights' shares against the softmax over each query's judged documents.

    The module of `listnet_loss`.
    """

    listwise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        reduction: ListReduction = "mean",
        distributed: bool = False,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_choice("reduction", reduction, ListReduction)
        self.reduction, self.distributed = reduction, distributed

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return `listnet_loss`."""
        return listnet_loss(
            query_embeddings,
            document_embeddings,
            pairs,
            self.scale(logit_scale),
            reduction=self.reduction,
            distributed=self.distributed,
        )


def _losses(of: ListLogits) -> Tensor:
    """Return each list's cross-entropy less the entropy of its shares, R."""
    total = of.weights.sum(1, keepdim=True)
    share = of.weights / torch.where(total > 0, total, 1.0)
    log_share = torch.where(share > 0, share, 1.0).log()
    difference = log_share - F.log_softmax(of.logits, dim=1)
    return torch.where(of.lists.real, share * difference, 0.0).sum(1)
