"""Listwise terms over the judged documents of each query, with float grades."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.judged import JudgedPairs, check_batch, judged_lists
from rankfield.losses.softplus import softplus

__all__ = ["LambdaScheme", "lambda_loss", "listnet_loss"]

LambdaScheme = Literal["lambdarank", "ndcg2", "ndcg2++"]

_LEAST = -1e30
_MU = 10.0
"""The weight of NDCG-Loss2's part in NDCG-Loss2++, as the paper found best."""


def listnet_loss(
    left: Tensor, right: Tensor, pairs: JudgedPairs, logit_scale: Tensor | float
) -> Tensor:
    """Return ListNet's top-one cross-entropy, a scalar in float32 or wider.

    With the judged documents J(i) of query i, p_ij = w_ij / Σ_{k ∈ J(i)} w_ik and
    q_ij = exp Z_ij / Σ_{k ∈ J(i)} exp Z_ik:

        loss = mean_i Σ_{j ∈ J(i)} p_ij · (log p_ij − log q_ij),

    over the queries with a judgment: the cross-entropy less the entropy of p, so that 0 is a
    perfect fit. Weights that are exponential in the score make p the softmax of the scores, as in
    Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, ICML 2007. Unjudged
    documents do not take part; a query with a single judgment, or weights of 0 alone, adds 0.

    Args:
        left: m × D unit embeddings of distinct queries; half precision is computed in float32.
        right: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch, with weights ≥ 0.
        logit_scale: s > 0, the inverse temperature.

    Raises:
        ValueError: shapes that do not fit, no pair.
    """
    logits, weights, real, _ = _padded(left, right, pairs, logit_scale)
    with torch.autocast(left.device.type, enabled=False):
        total = weights.sum(1, keepdim=True)
        share = weights / torch.where(total > 0, total, 1.0)
        log_share = torch.where(share > 0, share, 1.0).log()
        difference = log_share - F.log_softmax(logits, dim=1)
        return torch.where(real, share * difference, 0.0).sum(1).mean()


def lambda_loss(
    left: Tensor,
    right: Tensor,
    pairs: JudgedPairs,
    gains: Tensor,
    logit_scale: Tensor | float,
    *,
    scheme: LambdaScheme = "ndcg2++",
) -> Tensor:
    """Return LambdaLoss with NDCG gains, a scalar in float32 or wider.

    The mean over the queries with a judgment. For each, over its judged documents a, b with gains
    G_a > G_b, at the ranks r that the current logits give them and with the discount
    D(r) = log₂(1 + r):

        loss = Σ_{a,b} λ_ab · log₂(1 + exp(−(Z_a − Z_b))) / maxDCG
        λ_ab = (G_a − G_b) · |1/D(r_a) − 1/D(r_b)|                         "lambdarank"
        λ_ab = (G_a − G_b) · |1/D(|r_a − r_b|) − 1/D(|r_a − r_b| + 1)|     "ndcg2"
        the first plus 10 times the second                                 "ndcg2++"

    Wang et al., The LambdaLoss Framework for Ranking Metric Optimization, CIKM 2018. The maximal
    DCG is that of the same judged documents; no gradient flows through λ. Documents of equal logit
    are ranked from the lowest gain, then in the order of the pairs. A query whose gains are all
    equal adds 0. The pairs' weights play no part.

    Args:
        left: m × D unit embeddings of distinct queries; half precision is computed in float32.
        right: n × D unit embeddings of distinct documents.
        pairs: every judged pair of the batch; `scores` order the gains' ties.
        gains: float P ≥ 0, rising with the scores.
        logit_scale: s > 0, the inverse temperature.
        scheme: the λ.

    Raises:
        ValueError: shapes that do not fit, no pair, a gain below 0, an unknown scheme.
    """
    if scheme not in get_args(LambdaScheme):
        raise ValueError(f"expected lambdarank, ndcg2 or ndcg2++, found {scheme!r}")
    if gains.shape != pairs.scores.shape:
        raise ValueError(f"expected {len(pairs)} gains, found {tuple(gains.shape)}")
    logits, _, real, places = _padded(left, right, pairs, logit_scale)
    if not float(gains.min()) >= 0:
        raise ValueError(f"expected gains of at least 0, found {float(gains.min())}")
    with torch.autocast(left.device.type, enabled=False):
        gain = torch.where(real, gains.to(logits)[places], 0.0)
        weight = _lambdas(logits.detach(), gain, real, scheme)
        difference = logits[:, :, None] - logits[:, None, :]
        cost = softplus(-difference) / math.log(2)
        return (weight * torch.where(weight > 0, cost, 0.0)).sum((1, 2)).mean()


def _lambdas(logits: Tensor, gain: Tensor, real: Tensor, scheme: LambdaScheme) -> Tensor:
    """Return λ_ab / maxDCG, R × K × K; 0 unless G_a > G_b."""
    # The lists are of rising score: a stable sort ranks equal logits from the lowest gain.
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


def _padded(
    left: Tensor, right: Tensor, pairs: JudgedPairs, logit_scale: Tensor | float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits and weights of each query's judged documents, R × K, of rising score."""
    check_batch(left, right, pairs)
    dtype = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        own = (left.to(dtype)[pairs.queries] * right.to(dtype)[pairs.documents]).sum(1)
        lists = judged_lists(pairs)
        logits = torch.where(lists.real, logit_scale * own[lists.pairs], _LEAST)
        weights = torch.where(lists.real, pairs.weights.to(dtype)[lists.pairs], 0.0)
    return logits, weights, lists.real, lists.pairs
