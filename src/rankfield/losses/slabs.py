"""The work of a loss of large batches, divided over processes that all hold the whole batch.

Each process takes a slab: a block of the rows or the columns of the logits, whichever are more, and
everything across. Sums over a slab's own rows go to all processes as they are; those of columns are
combined. Messages have O(m + n + P) numbers; no process sees the logits of another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.competitors import Competitors, competitors
from rankfield.losses.gather import gather_with_gradient, number_of_processes, sum_with_gradient
from rankfield.losses.judged_pairs import JudgedPairs
from rankfield.losses.reduction import Direction
from rankfield.losses.tile_form import TileForm
from rankfield.losses.tile_softmax import SoftmaxTile

__all__ = ["competitors_by_slab", "lists_by_slab"]

_EXCHANGED: dict[Direction, Direction] = {
    "both": "both",
    "query_to_document": "document_to_query",
    "document_to_query": "query_to_document",
}


def competitors_by_slab(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    direction: Direction,
    form: TileForm | None = None,
    memory_mib: float = 0.0,
    side: int | None = None,
) -> Competitors:
    """Return `competitors`, whose arguments it takes, of a batch that all processes hold.

    Every process must call with equal arguments and gets the whole result; all or none must go
    backward. The gradient by a process's own embeddings and scale is that of the sum of all
    processes' losses through its slab: summed over the processes it is P times that of one
    loss, as for embeddings of `gather_shares`. Without an initialised process group this is
    `competitors`.
    """
    sums_of = partial(competitors, form=form, memory_mib=memory_mib, side=side)
    if number_of_processes() == 1:
        return sums_of(
            query_embeddings, document_embeddings, pairs, logit_scale, direction=direction
        )
    if len(document_embeddings) > len(query_embeddings):
        own, queries, documents = competitors_by_slab(
            document_embeddings,
            query_embeddings,
            pairs.transposed(),
            logit_scale,
            direction=_EXCHANGED[direction],
            form=form,
            memory_mib=memory_mib,
            side=side,
        )
        return Competitors(own, documents, queries)
    rows = len(query_embeddings)
    block = _block(rows)
    inside = ((pairs.queries >= block.start) & (pairs.queries < block.stop)).nonzero()[:, 0]
    known = pairs.chosen(inside)
    own, by_row, by_column = sums_of(
        query_embeddings[block],
        document_embeddings,
        JudgedPairs(known.queries - block.start, known.documents, known.scores, known.weights),
        logit_scale,
        direction=direction,
    )
    of_all = own.new_zeros(len(pairs)).index_copy(0, inside, own)
    return Competitors(
        sum_with_gradient(of_all),
        None if by_row is None else _joined(by_row, rows),
        None
        if by_column is None
        else (form or SoftmaxTile()).combined(gather_with_gradient(by_column[None])),
    )


def lists_by_slab(
    losses: Callable[[Tensor], Tensor], pairs: JudgedPairs, distributed: bool
) -> Tensor:
    """Return the losses of R judged lists, of which each process computes a block.

    Every process must call with equal arguments and gets the whole result, R; gradients are as of
    `competitors_by_slab`.

    Args:
        losses: int64 indices of all judged pairs of some queries → the losses of these queries'
            lists, in ascending order of the query.
        pairs: judged pairs.
        distributed: False: this process computes all of them.
    """
    if not distributed or number_of_processes() == 1:
        return losses(torch.arange(len(pairs), device=pairs.queries.device))
    queries = torch.unique(pairs.queries)
    block = _block(len(queries))
    # A process without a list takes the last one, so that it takes part; its result is cut off.
    start = min(block.start, len(queries) - 1)
    first, last = queries[start], queries[max(block.stop, start + 1) - 1]
    found = losses(((pairs.queries >= first) & (pairs.queries <= last)).nonzero()[:, 0])
    return _joined(found, len(queries))


def _block(size: int) -> slice:
    """Return this process's block of so many rows; the last ones are shorter, or empty."""
    high = -(-size // number_of_processes())
    start = min(size, dist.get_rank() * high)
    return slice(start, min(size, start + high))


def _joined(of_block: Tensor, size: int) -> Tensor:
    """Return the `size` values of all blocks from each process's own."""
    high = -(-size // number_of_processes())
    return gather_with_gradient(F.pad(of_block, (0, high - len(of_block))))[:size]
