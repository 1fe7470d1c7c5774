"""LambdaLoss: pairs of judged documents, weighted by what exchanging them does to nDCG.

Wang et al., The LambdaLoss Framework for Ranking Metric Optimization, CIKM 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor

from rankfield.losses.judged_lists import ListLogits, list_logits
from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.reduction import ListReduction, check_choice, of_lists
from rankfield.losses.slabs import lists_by_slab
from rankfield.losses.softplus import softplus

__all__ = ["LambdaLoss", "LambdaScheme", "lambda_loss"]

LambdaScheme = Literal["lambdarank", "ndcg2", "ndcg2++"]

_MU = 10.0
"""The weight of NDCG-Loss2's part in NDCG-Loss2++, as the paper found best."""


def lambda_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    gains: Tensor,
    logit_scale: Tensor | float,
    *,
    scheme: LambdaScheme = "ndcg2++",
    reduction: ListReduction = "mean",
    distributed: bool = False,
) -> Tensor:
    """Return LambdaLoss with nDCG gains, a scalar in float32 or wider.

    The mean over the queries with a judgment. For each, over its judged documents a, b with gains
    G_a > G_b, at the ranks r that the current logits give them and with the discount
    D(r) = log₂(1 + r):

        loss = Σ_{a,b} λ_ab · log₂(1 + exp(−(Z_a − Z_b))) / maxDCG
        λ_ab = (G_a − G_b) · |1/D(r_a) − 1/D(r_b)|                         "lambdarank"
        λ_ab = (G_a − G_b) · |1/D(|r_a − r_b|) − 1/D(|r_a − r_b| + 1)|     "ndcg2"
        the first plus 10 times the second                                 "ndcg2++"

    The maximal DCG is that of the same judged documents; no gradient flows through λ. Documents of
    equal logit are ranked by ascending gain, then in the order of the pairs. A query whose gains
    are all equal adds 0. The pairs' weights play no part.

    Args:
        query_embeddings: m × D unit embeddings of distinct queries; half precision is computed in
            float32.
        document_embeddings: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch; `scores` order the gains' ties.
        gains: float P ≥ 0, ascending with the scores.
        logit_scale: s > 0, the inverse temperature.
        scheme: the λ.
        reduction: "mean" or "sum" over the queries with a judgment, or "none": their R losses, in
            ascending order of the query.
        distributed: as in `listnet_loss`.

    Raises:
        ValueError: shapes that do not fit, no pair, a gain below 0, an unknown scheme or reduction.
    """
    check_choice("scheme", scheme, LambdaScheme)
    check_choice("reduction", reduction, ListReduction)
    if gains.shape != pairs.scores.shape:
        raise ValueError(f"expected {len(pairs)} gains, found {tuple(gains.shape)}")
    check_batch(query_embeddings, document_embeddings, pairs)
    if not float(gains.min()) >= 0:
        raise ValueError(f"expected gains of at least 0, found {float(gains.min())}")

    def losses(chosen: Tensor) -> Tensor:
        known = pairs.chosen(chosen)
        of = list_logits(query_embeddings, document_embeddings, known, logit_scale)
        return _losses(of, gains[chosen], scheme)

    with torch.autocast(query_embeddings.device.type, enabled=False):
        return of_lists(lists_by_slab(losses, pairs, distributed), reduction)


class LambdaLoss(RankingLoss):
    """LambdaLoss: pairs of judged documents, by what exchanging them does to nDCG.

    The module of `lambda_loss`. `gain` turns the pairs' scores into gains ≥ 0; without one the
    scores are the gains.
    """

    listwise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        scheme: LambdaScheme = "ndcg2++",
        gain: Callable[[Tensor], Tensor] | None = None,
        reduction: ListReduction = "mean",
        distributed: bool = False,
        logit_scale: float | None = None,
    ) -> None:
        super().__init__(logit_scale=logit_scale)
        check_choice("scheme", scheme, LambdaScheme)
        check_choice("reduction", reduction, ListReduction)
        self.scheme, self.gain, self.reduction = scheme, gain, reduction
        self.distributed = distributed

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return `lambda_loss`."""
        return lambda_loss(
            query_embeddings,
            document_embeddings,
            pairs,
            pairs.scores if self.gain is None else self.gain(pairs.scores),
            self.scale(logit_scale),
            scheme=self.scheme,
            reduction=self.reduction,
            distributed=self.distributed,
        )


def _losses(of: ListLogits, gains: Tensor, scheme: LambdaScheme) -> Tensor:
    """Return each list's loss, R, from the gains of its pairs."""
    gain = torch.where(of.lists.real, gains.to(of.logits)[of.lists.pairs], 0.0)
    weight = _lambdas(of.logits.detach(), gain, of.lists.real, scheme)
    difference = of.logits[:, :, None] - of.logits[:, None, :]
    cost = softplus(-difference) / math.log(2)
    return (weight * torch.where(weight > 0, cost, 0.0)).sum((1, 2))


def _lambdas(logits: Tensor, gain: Tensor, real: Tensor, scheme: LambdaScheme) -> Tensor:
    """Return λ_ab / maxDCG, R × K × K; 0 unless G_a > G_b."""
    # The lists are in ascending order: a stable sort ranks equal logits by ascending gain.
    order = logits.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(1, order.shape[1] + 1, device=order.device).expand_as(order)
    )
    better = (gain[:, :, None] > gain[:, None, :]) & real[:, :, None] & real[:, None, :]
    inverse = 1.0 / torch.log2(1.0 + rank.to(gain.dtype))
    swapped = (inverse[:, :, None] - inverse[:, None, :]).abs()
    apart = (rank[:, :, None] - rank[:, None, :]).abs().clamp(min=1).to(gain.dtype)
    adjacent = 1.0 / torch.log2(1.0 + apart) - 1.0 / torch.log2(2.0 + apart)
    by_scheme = {
        "lambdarank": swapped,
        "ndcg2": adjacent,
        "ndcg2++": swapped + _MU * adjacent,
    }[scheme]
    ideal = gain.sort(dim=1, descending=True).values
    ranks = torch.arange(1, gain.shape[1] + 1, device=gain.device, dtype=gain.dtype)
    best = (ideal / torch.log2(1.0 + ranks)).sum(1)
    share = gain / torch.where(best > 0, best, 1.0)[:, None]
    return torch.where(better, (share[:, :, None] - share[:, None, :]) * by_scheme, 0.0)
