"""Tensors of which each process holds a part, and models made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["clip_gradients", "full_tensor", "is_sharded", "touched", "unsharded"]


@contextmanager
def unsharded(model: nn.Module) -> Iterator[None]:
    """Give the model its whole weights while the context lasts; all processes must enter."""
    if not hasattr(model, "unshard"):
        yield
        return
    cast(Any, model).unshard()
    try:
        yield
    finally:
        cast(Any, model).reshard()


def is_sharded(tensor: Tensor) -> bool:
    """Return whether this process holds a part of a tensor only."""
    return hasattr(tensor, "full_tensor")


def full_tensor(tensor: Tensor) -> Tensor:
    """Return a sharded tensor whole, in all processes; any other as it is."""
    return cast(Any, tensor).full_tensor() if is_sharded(tensor) else tensor


def touched(model: nn.Module) -> Tensor:
    """Return 0, which depends on all weights that train.

    Added to a loss, it gives each a gradient in each process, where a batch may lack a field: the
    processes exchange the gradients of the same weights.
    """
    return 0.0 * sum((p.sum() for p in model.parameters() if p.requires_grad), torch.zeros(()))


def clip_gradients(model: nn.Module, largest: float) -> Tensor:
    """Average the gradients that are not sharded, scale all to a norm of at most `largest`.

    Returns the norm before, over all processes: g ← g · min(1, largest / (‖g‖ + 10⁻⁶)), as
    `torch.nn.utils.clip_grad_norm_`, which takes no mixture of both kinds.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    for gradient in gradients:
        if not is_sharded(gradient):
            dist.all_reduce(gradient)
            gradient.div_(dist.get_world_size())
    local = [cast(Any, g).to_local() if is_sharded(g) else g for g in gradients]
    parts = [torch.zeros((), device=local[0].device) for _ in range(2)]
    for gradient, own in zip(gradients, local, strict=True):
        parts[is_sharded(gradient)] += own.detach().float().square().sum()
    dist.all_reduce(parts[1])
    norm = (parts[0] + parts[1]).sqrt()
    factor = torch.clamp(largest / (norm + 1e-6), max=1.0)
    for own in local:
        own.mul_(factor)
    return norm
