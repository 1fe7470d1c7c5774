"""The judged pairs of a batch as one list for each query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rankfield.losses.judged_pairs import JudgedPairs, check_batch

__all__ = ["NO_LOGIT", "JudgedLists", "ListLogits", "by_length", "judged_lists", "list_logits"]

NO_LOGIT = -1e30
"""The logit of what does not compete: finite, so that an empty set has a gradient of 0, not NaN."""

_PADDING = 4  # times the pairs that lists padded to the longest may take


@dataclass(frozen=True)
class JudgedLists:
    """The judged pairs as one list for each query, by ascending score, padded to the longest.

    pairs: int64 R × K, the pair at each position; 0 where `real` is false. Pairs of equal score
        keep their order. Queries without a judged pair have no list.
    real: bool R × K.
    queries: int64 R, the query that each list belongs to.
    tie_start: int64 R × K, the position of the first pair of equal score in the same list;
        undefined where `real` is false.
    """

    pairs: Tensor
    real: Tensor
    queries: Tensor
    tie_start: Tensor


def judged_lists(pairs: JudgedPairs) -> JudgedLists:
    """Return each query's judged pairs by ascending score."""
    by_score = torch.argsort(pairs.scores, stable=True)
    order = by_score[torch.argsort(pairs.queries[by_score], stable=True)]
    queries, lengths = torch.unique_consecutive(pairs.queries[order], return_counts=True)
    starts = lengths.cumsum(0) - lengths
    positions = torch.arange(int(lengths.max()), device=order.device)
    real = positions < lengths[:, None]
    padded = order[torch.where(real, starts[:, None] + positions, 0)]
    padded = torch.where(real, padded, 0)
    scores = pairs.scores[padded]
    new = torch.ones_like(real)
    new[:, 1:] = scores[:, 1:] != scores[:, :-1]
    tie_start = torch.where(new, positions, 0).cummax(dim=1).values
    return JudgedLists(padded, real, queries, tie_start)


def by_length(
    function: Callable[[Tensor, Tensor, JudgedPairs], Tensor],
    of_pairs: Tensor,
    of_queries: Tensor,
    pairs: JudgedPairs,
) -> Tensor:
    """Return a function of judged lists in O(P) memory, however long the longest list is, P.

    If padding all lists to the longest takes too much, those of like length go together.

    Args:
        function: (of pairs, of queries, pairs) → P numbers, each of which depends on its own
            query's list alone.
        of_pairs: P numbers.
        of_queries: m numbers.
        pairs: judged pairs.
    """
    lengths = torch.bincount(pairs.queries)
    if int(lengths.max()) * int((lengths > 0).sum()) <= _PADDING * len(pairs):
        return function(of_pairs, of_queries, pairs)
    doublings = torch.frexp(lengths[pairs.queries].double() - 0.5).exponent
    found = torch.zeros_like(of_pairs)
    for doubling in torch.unique(doublings).tolist():
        chosen = (doublings == doubling).nonzero()[:, 0]
        some = function(of_pairs[chosen], of_queries, pairs.chosen(chosen))
        found = found.index_copy(0, chosen, some)
    return found


@dataclass(frozen=True)
class ListLogits:
    """Logits, `NO_LOGIT` in the padding, and weights, 0 in the padding, of lists: R × K each."""

    logits: Tensor
    weights: Tensor
    lists: JudgedLists


def list_logits(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
) -> ListLogits:
    """Return logits and weights of each query's judged documents, in float32 or wider.

    Raises:
        ValueError: shapes that do not fit, no pair.
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        queries = query_embeddings.to(dtype)[pairs.queries]
        own = (queries * document_embeddings.to(dtype)[pairs.documents]).sum(1)
        lists = judged_lists(pairs)
        logits = torch.where(lists.real, logit_scale * own[lists.pairs], NO_LOGIT)
        weights = torch.where(lists.real, pairs.weights.to(dtype)[lists.pairs], 0.0)
    return ListLogits(logits, weights, lists)
