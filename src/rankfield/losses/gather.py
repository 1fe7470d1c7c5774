"""Tensors of all processes, gathered or added up, with gradients."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather_shares", "gather_with_gradient", "number_of_processes", "sum_with_gradient"]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, local: Tensor) -> Tensor:
        local = local.contiguous()
        parts = [torch.empty_like(local) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, local)
        ctx.rows = len(local)  # type: ignore[attr-defined]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        rows: int = ctx.rows  # type: ignore[attr-defined]
        gradient = gradients[0].contiguous()
        own = gradient.new_empty((rows, *gradient.shape[1:]))
        dist.reduce_scatter(own, list(gradient.chunk(dist.get_world_size())))
        return own


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, local: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(local)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(gradients[0])


def _summed(local: Tensor) -> Tensor:
    # A copy: autograd may have handed the same tensor to other parts of the graph.
    total = local.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def gather_with_gradient(local: Tensor) -> Tensor:
    """Return the rows of all processes, in rank order: P·N × D from N × D on each of P processes.

    The gradient of a row is the sum of what every process sends back for it. Without an
    initialised process group the tensor comes back as it is. Every process must hold the same
    number of rows, and all or none must go backward through the result.
    """
    if number_of_processes() == 1:
        return local
    return _Gather.apply(local)  # type: ignore[no-untyped-call, no-any-return]


def sum_with_gradient(local: Tensor) -> Tensor:
    """Return the sum over all processes of tensors of one shape.

    The gradient is the sum of what every process sends back. Without an initialised process group
    the tensor comes back as it is. All or none must go backward through the result.
    """
    if number_of_processes() == 1:
        return local
    return _Sum.apply(local)  # type: ignore[no-untyped-call, no-any-return]


def gather_shares(local: Tensor, total: int) -> Tensor:
    """Return `total` rows in their order from interleaved shares: process r holds r, r + P, ….

    Shares are padded to ⌈total / P⌉ rows or more, all to the same length, whatever the padding
    holds; its gradient is 0. Without an initialised process group the first `total` rows come back.

    Raises:
        ValueError: shares too short for `total` rows.
    """
    processes = number_of_processes()
    if len(local) * processes < total:
        raise ValueError(
            f"expected at least ⌈{total} / {processes}⌉ rows a process, found {len(local)}"
        )
    if processes == 1:
        return local[:total]
    row = torch.arange(total, device=local.device)
    return gather_with_gradient(local)[(row % processes) * len(local) + row // processes]


def number_of_processes() -> int:
    """Return how many processes the default group has, 1 if there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
