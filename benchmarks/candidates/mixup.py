"""Mixtures of a query's judged documents as further judged documents, before the default loss.

Mixup (Zhang et al., arXiv 1710.09412) of embeddings: a and b are judged for one query,
λ ~ Beta(α, α),

    x = normalise(λ · x_a + (1 − λ) · x_b)

For a query of the batch that has judged

a and b         the mixture has the score λ · s_a + (1 − λ) · s_b, and the weight likewise
one of them     it is out of the competition: nothing is known
neither         it is an unjudged document
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import JudgedContrastiveLoss, JudgedPairs
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.reduction import Direction, Reduction

__all__ = ["DocumentMixupLoss", "mixed_pairs", "partners", "with_mixtures"]


class DocumentMixupLoss(JudgedContrastiveLoss):
    """The default loss with mixtures of documents added; share = 0 is the default.

    Random numbers come from torch's generator. In evaluation mode nothing is mixed.

    alpha: of Beta(alpha, alpha), > 0: below 1 mostly near one of the two, 1 uniform, above 1
        mostly near the middle.
    share: 0 to 1: that share of the judged pairs, drawn at random, gets a mixture with another
        document of its query. A query with one judged document gets none.

    Raises:
        ValueError: one of them out of range, or a target that has no room for a document out of
            the competition ("soft", "pair").
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        share: float = 0.5,
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
        if not 0.0 < alpha < math.inf or not 0.0 <= share <= 1.0:
            raise ValueError(f"expected alpha > 0 and a share of 0 to 1, found {alpha} and {share}")
        self.alpha, self.share = alpha, share

    def forward(
        self,
        query_embeddings: Tensor,
        document_embeddings: Tensor,
        pairs: JudgedPairs,
        logit_scale: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss, a scalar."""
        if self.training and self.share:
            document_embeddings, pairs = with_mixtures(
                document_embeddings, pairs, alpha=self.alpha, share=self.share
            )
        return super().forward(query_embeddings, document_embeddings, pairs, logit_scale)


def with_mixtures(
    documents: Tensor, pairs: JudgedPairs, *, alpha: float, share: float
) -> tuple[Tensor, JudgedPairs]:
    """Return the n documents and K mixtures, (n + K) × D in float32 or wider, and all pairs.

    Args:
        documents: n × D unit embeddings.
        pairs: each once.
        alpha, share: of `DocumentMixupLoss`.
    """
    other = partners(pairs)
    drawn = torch.rand(len(pairs), device=other.device) < share
    chosen = (drawn & (pairs.documents[other] != pairs.documents)).nonzero()[:, 0]
    if not len(chosen):
        return documents, pairs
    first, second = pairs.documents[chosen], pairs.documents[other[chosen]]
    dtype = torch.promote_types(documents.dtype, torch.float32)
    vectors = documents.to(dtype)
    part = torch.distributions.Beta(alpha, alpha).sample((len(chosen),)).to(vectors)
    mixtures = F.normalize(torch.lerp(vectors[second], vectors[first], part[:, None]), dim=-1)
    more = mixed_pairs(pairs, first, second, part, documents=len(documents))
    joined = (
        torch.cat([old, new.to(old)]) for old, new in zip(_parts(pairs), _parts(more), strict=True)
    )
    return torch.cat([vectors, mixtures]), JudgedPairs(*joined)


def partners(pairs: JudgedPairs) -> Tensor:
    """Return, for each pair, a random other pair of its query, P; itself where there is none."""
    shuffled = torch.randperm(len(pairs), device=pairs.queries.device)
    order = shuffled[torch.argsort(pairs.queries[shuffled], stable=True)]
    lengths = torch.unique_consecutive(pairs.queries[order], return_counts=True)[1]
    ends = lengths.cumsum(0)
    following = torch.arange(1, len(pairs) + 1, device=order.device)
    following[ends - 1] = ends - lengths  # each query's pairs as a ring
    return torch.empty_like(order).index_copy_(0, order, order[following])


def mixed_pairs(
    pairs: JudgedPairs, first: Tensor, second: Tensor, part: Tensor, *, documents: int
) -> JudgedPairs:
    """Return what the queries know about the mixtures `part` · first + (1 − part) · second.

    A query that has judged one of the two gets a pair of weight 0 with a score above all others:
    it has no loss and competes with nothing.

    Args:
        pairs: of the batch.
        first, second: int64 K, documents.
        part: K, λ.
        documents: n; the mixtures are n, n + 1, ….
    """
    queries = int(pairs.queries.max()) + 1
    scores = part.new_full((queries, documents), math.nan).to(pairs.scores.dtype)
    weights = pairs.weights.new_zeros((queries, documents))
    scores[pairs.queries, pairs.documents] = pairs.scores
    weights = weights.index_put((pairs.queries, pairs.documents), pairs.weights)
    known = ~scores.isnan()
    query, mixture = (known[:, first] | known[:, second]).nonzero().T
    a, b, share = first[mixture], second[mixture], part[mixture]
    # lerp of equal scores is that score: ties stay ties.
    score = torch.lerp(scores[query, b], scores[query, a], share.to(scores))
    weight = torch.lerp(weights[query, b], weights[query, a], share.to(weights))
    both = known[query, a] & known[query, b]
    above = pairs.scores.max() + 1
    return JudgedPairs(
        query,
        documents + mixture,
        torch.where(both, score, above),
        torch.where(both, weight, 0.0),
    )


def _parts(pairs: JudgedPairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return pairs.queries, pairs.documents, pairs.scores, pairs.weights
