"""Embeddings whose first dimensions rank alone: Kusupati et al., arXiv 2205.13147."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["matryoshka", "truncated"]


def truncated(embeddings: Tensor, dimension: int) -> Tensor:
    """Return the first `dimension` columns as unit rows, N × d: normalise(e[:d]).

    Half precision comes back in float32; a row that is zero there stays zero. At d = D the
    embeddings come back as they are.

    Args:
        embeddings: N × D unit embeddings.
        dimension: 1 ≤ d ≤ D.

    Raises:
        ValueError: not a matrix, or d out of range.
    """
    if embeddings.ndim != 2 or not 1 <= dimension <= embeddings.shape[1]:
        raise ValueError(
            f"expected N × D and 1 ≤ d ≤ D; found {tuple(embeddings.shape)} and d = {dimension}"
        )
    if dimension == embeddings.shape[1]:
        return embeddings
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    return F.normalize(embeddings[:, :dimension].to(dtype), dim=-1)


def matryoshka(
    loss: Callable[[Tensor, Tensor], Tensor],
    left: Tensor,
    right: Tensor,
    dimensions: Sequence[int],
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Return Σ_d c_d · loss(left truncated to d, right truncated to d) / Σ_d c_d, a scalar.

    The full dimension D is always one of them: where `dimensions` lacks it, it joins with c = 1.
    Without dimensions this is `loss(left, right)` to the bit.

    Args:
        loss: function (N × d unit embeddings, M × d unit embeddings) → scalar.
        left: N × D unit embeddings.
        right: M × D unit embeddings.
        dimensions: distinct, each from 1 to D.
        weights: c > 0, one for each of `dimensions`; by default all 1.

    Raises:
        ValueError: dimensions out of range or named twice, or weights that do not fit them.
    """
    if len(set(dimensions)) != len(dimensions):
        raise ValueError(f"expected distinct dimensions, found {list(dimensions)}")
    if weights is None:
        weights = [1.0] * len(dimensions)
    if len(weights) != len(dimensions) or not all(0 < w < float("inf") for w in weights):
        raise ValueError(f"expected {len(dimensions)} weights above 0, found {list(weights)}")
    shares = dict(zip(dimensions, weights, strict=True))
    shares.setdefault(left.shape[1], 1.0)
    if len(shares) == 1:
        return loss(left, right)
    total: Tensor | None = None
    for dimension, weight in shares.items():
        term = weight * loss(truncated(left, dimension), truncated(right, dimension))
        total = term if total is None else total + term
    assert total is not None
    return total / sum(shares.values())
