"""The sigmoid loss of large batches: in tiles, with memory for embeddings and pairs alone.

The same numbers as `sigmoid_loss`, which defines them, within rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses.competitors import competitors
from rankfield.losses.judged_lists import by_length, judged_lists
from rankfield.losses.judged_pairs import JudgedPairs, check_batch
from rankfield.losses.large_batches import DEFAULT_MIB, check_memory
from rankfield.losses.reduction import (
    Direction,
    Reduction,
    check_choice,
    check_reduction,
    weighted,
)
from rankfield.losses.slabs import competitors_by_slab
from rankfield.losses.softplus import softplus
from rankfield.losses.targets import Target, unjudged_and_lower_sums
from rankfield.losses.tile_sigmoid import SigmoidTile

__all__ = ["tiled_sigmoid_loss"]


def tiled_sigmoid_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float,
    *,
    target: Target = "mask",
    direction: Direction = "both",
    reduction: Reduction = "mean",
    memory_mib: float = DEFAULT_MIB,
    side: int | None = None,
    distributed: bool = False,
) -> Tensor:
    """Return `sigmoid_loss`, whose arguments it takes, in O((m + n) · D + P) memory.

    Differentiable once; the gradient is exact. The target "pair" takes O(P · D).

    Args:
        query_embeddings: m × D.
        document_embeddings: n × D.
        pairs: P judged pairs.
        logit_scale: s.
        logit_bias: b.
        target: as there.
        direction: as there.
        reduction: as there.
        memory_mib: as in `tiled_contrastive_loss`.
        side: as in `tiled_contrastive_loss`.
        distributed: as in `tiled_contrastive_loss`.

    Raises:
        ValueError: as there, or a budget that is negative or not finite.
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    check_reduction(direction, reduction)
    check_choice("target", target, Target)
    check_memory(memory_mib)
    if target == "pair":
        query_embeddings = query_embeddings[pairs.queries]
        document_embeddings = document_embeddings[pairs.documents]
        pairs, target = pairs.one_by_one(), "mask"
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        queries, documents = query_embeddings.to(dtype), document_embeddings.to(dtype)
        # With b as one more dimension the product is s · Q Dᵀ + b.
        bias = torch.as_tensor(logit_bias, dtype=dtype, device=queries.device).reshape(1, 1)
        found = (competitors_by_slab if distributed else competitors)(
            torch.cat([logit_scale * queries, bias.expand(len(queries), 1)], dim=1),
            torch.cat([documents, torch.ones_like(documents[:, :1])], dim=1),
            pairs,
            1.0,
            direction=direction,
            form=SigmoidTile(),
            memory_mib=memory_mib,
            side=side,
        )
        losses = (
            softplus(-found.own) + _others(found.own, unjudged, known, target)
            for unjudged, known in found.in_directions(pairs)
        )
        return weighted(losses, pairs.weights.to(dtype), direction, reduction)


def _others(own: Tensor, unjudged: Tensor, pairs: JudgedPairs, target: Target) -> Tensor:
    """Return the sum of each pair's competitors' cross-entropies, P."""
    if target == "mask":
        return unjudged[pairs.queries]
    return by_length(_all_others if target == "soft" else _lower, own, unjudged, pairs)


def _lower(own: Tensor, unjudged: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return what is unjudged or scored lower than each pair, P."""
    lists, below = unjudged_and_lower_sums(softplus(own), unjudged, pairs)
    return torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], below[lists.real])


def _all_others(own: Tensor, unjudged: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return what is unjudged or judged as another pair of the query, P."""
    lists = judged_lists(pairs)
    costs = torch.where(lists.real, softplus(own)[lists.pairs], 0.0)
    before = torch.cat([unjudged[lists.queries, None], costs[:, :-1]], dim=1).cumsum(1)
    # Sums from both ends: the whole less the pair's own would cancel.
    after = torch.cat([costs[:, 1:], torch.zeros_like(costs[:, :1])], dim=1)
    others = before + after.flip(1).cumsum(1).flip(1)
    return torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], others[lists.real])
