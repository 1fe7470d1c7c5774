"""The contrastive losses of large batches: in tiles, with memory for embeddings and pairs alone.

The same numbers as `contrastive_loss` and `judged_contrastive_loss`, which define them, within
rounding. After Inf-CL (Cheng et al., arXiv 2410.17243), with one product for both directions,
float32 logits, and judged pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses.competitors import competitors
from rankfield.losses.judged_lists import by_length
from rankfield.losses.judged_pairs import JudgedPairs, check_batch, check_rows
from rankfield.losses.large_batches import DEFAULT_MIB, check_memory
from rankfield.losses.reduction import Direction, Reduction, check_reduction, weighted
from rankfield.losses.slabs import competitors_by_slab
from rankfield.losses.softplus import softplus
from rankfield.losses.targets import Target, check_target, unjudged_and_lower

__all__ = ["tiled_contrastive_loss", "tiled_judged_contrastive_loss"]


def tiled_contrastive_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    weights: Tensor,
    logit_scale: Tensor | float,
    *,
    direction: Direction = "both",
    reduction: Reduction = "mean",
    memory_mib: float = DEFAULT_MIB,
    side: int | None = None,
    distributed: bool = False,
) -> Tensor:
    """Return `contrastive_loss`, whose arguments it takes, in O(N · D) memory.

    Differentiable once; the gradient is exact.

    Args:
        query_embeddings: N × D.
        document_embeddings: N × D.
        weights: N.
        logit_scale: s.
        direction: as there.
        reduction: as there.
        memory_mib: ≥ 0, MiB of logits that may be kept from forward to backward beyond that:
            backward then computes as many fewer again.
        side: rows and columns of a tile, by default what is fast on the device.
        distributed: every process of the default group calls with equal arguments, of a batch that
            all hold, and computes its part of the logits; all get the same loss. The gradients
            that the processes get add up to P times those of one process alone.

    Raises:
        ValueError: as there, or a budget that is negative or not finite.
    """
    check_rows(query_embeddings, document_embeddings, weights)
    # Each pair competes with all but itself: its logit plus log(1 + Σ exp(others − own)).
    own = torch.arange(len(weights), device=weights.device)
    return _tiled(
        query_embeddings,
        document_embeddings,
        JudgedPairs(own, own, weights, weights),
        logit_scale,
        target="mask",
        direction=direction,
        reduction=reduction,
        memory_mib=memory_mib,
        side=side,
        distributed=distributed,
    )


def tiled_judged_contrastive_loss(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    target: Target = "ranked",
    direction: Direction = "both",
    reduction: Reduction = "mean",
    margin: float = 0.0,
    memory_mib: float = DEFAULT_MIB,
    side: int | None = None,
    distributed: bool = False,
) -> Tensor:
    """Return `judged_contrastive_loss`, whose arguments it takes, in O((m + n) · D + P) memory.

    Differentiable once; the gradient is exact. The target "pair" takes O(P · D).

    Args:
        query_embeddings: m × D.
        document_embeddings: n × D.
        pairs: P judged pairs.
        logit_scale: s.
        target: as there.
        direction: as there.
        reduction: as there.
        margin: as there.
        memory_mib: as in `tiled_contrastive_loss`.
        side: as in `tiled_contrastive_loss`.
        distributed: as in `tiled_contrastive_loss`.

    Raises:
        ValueError: as there, or a budget that is negative or not finite.
    """
    check_batch(query_embeddings, document_embeddings, pairs)
    check_target(target, margin)
    if target == "pair":
        return tiled_contrastive_loss(
            query_embeddings[pairs.queries],
            document_embeddings[pairs.documents],
            pairs.weights,
            logit_scale,
            direction=direction,
            reduction=reduction,
            memory_mib=memory_mib,
            side=side,
            distributed=distributed,
        )
    return _tiled(
        query_embeddings,
        document_embeddings,
        pairs,
        logit_scale,
        target=target,
        direction=direction,
        reduction=reduction,
        margin=margin,
        memory_mib=memory_mib,
        side=side,
        distributed=distributed,
    )


def _tiled(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    target: Target,
    direction: Direction,
    reduction: Reduction,
    margin: float = 0.0,
    memory_mib: float,
    side: int | None,
    distributed: bool,
) -> Tensor:
    """Return the loss of "mask", "soft" or "ranked"."""
    check_reduction(direction, reduction)
    check_memory(memory_mib)
    dtype = torch.promote_types(query_embeddings.dtype, torch.float32)
    with torch.autocast(query_embeddings.device.type, enabled=False):
        found = (competitors_by_slab if distributed else competitors)(
            query_embeddings,
            document_embeddings,
            pairs,
            logit_scale,
            direction=direction,
            memory_mib=memory_mib,
            side=side,
        )
        shift = logit_scale * margin if margin else 0.0
        losses = (
            _losses(found.own, unjudged, known, target, shift)
            for unjudged, known in found.in_directions(pairs)
        )
        return weighted(losses, pairs.weights.to(dtype), direction, reduction)


def _losses(
    own: Tensor, unjudged: Tensor, pairs: JudgedPairs, target: Target, shift: Tensor | float
) -> Tensor:
    """Return each pair's cross-entropy among its competitors, P."""
    if target == "soft":
        return _all(own, unjudged, pairs)[pairs.queries] - own
    others = unjudged[pairs.queries]
    if target == "ranked":
        others = by_length(unjudged_and_lower, own, unjudged, pairs)
    return softplus(others - own + shift)


def _all(own: Tensor, unjudged: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return logsumexp over each query's documents, judged and unjudged, m."""
    top = unjudged.detach().scatter_reduce(0, pairs.queries, own.detach(), "amax")
    shares = torch.exp(own - top[pairs.queries])
    return top + torch.log(torch.exp(unjudged - top).index_add(0, pairs.queries, shares))
