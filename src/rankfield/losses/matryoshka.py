"""Embeddings whose first dimensions rank alone: Kusupati et al., arXiv 2205.13147."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["MatryoshkaLoss", "matryoshka", "truncated"]


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
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    dimensions: Sequence[int],
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Return Σ_d c_d · loss(queries truncated to d, documents truncated to d) / Σ_d c_d.

    The full dimension D is always one of them: where `dimensions` lacks it, it is added with c = 1.
    Without dimensions this is `loss(query_embeddings, document_embeddings)` to the bit.

    Args:
        loss: function (m × d unit embeddings, n × d unit embeddings) → scalar.
        query_embeddings: m × D unit embeddings.
        document_embeddings: n × D unit embeddings.
        dimensions: distinct, each from 1 to D.
        weights: c > 0, one for each of `dimensions`; by default all 1.

    Raises:
        ValueError: dimensions out of range or repeated, or weights that do not fit them.
    """
    weights = _check_dimensions(dimensions, weights)
    shares = dict(zip(dimensions, weights, strict=True))
    shares.setdefault(query_embeddings.shape[1], 1.0)
    if len(shares) == 1:
        return loss(query_embeddings, document_embeddings)
    total: Tensor | None = None
    for dimension, weight in shares.items():
        queries = truncated(query_embeddings, dimension)
        term = weight * loss(queries, truncated(document_embeddings, dimension))
        total = term if total is None else total + term
    assert total is not None
    return total / sum(shares.values())


class MatryoshkaLoss(nn.Module):
    """Any loss, averaged over embeddings cut to fewer dimensions.

    The module of `matryoshka`. A call takes the two embeddings and what else the loss takes.

    loss: a module such as `JudgedContrastiveLoss`.
    """

    def __init__(
        self, loss: nn.Module, dimensions: Sequence[int], weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.loss = loss
        self.dimensions, self.weights = list(dimensions), _check_dimensions(dimensions, weights)

    def forward(
        self, query_embeddings: Tensor, document_embeddings: Tensor, *others: Any, **named: Any
    ) -> Tensor:
        """Return `matryoshka` of the loss."""

        def loss(queries: Tensor, documents: Tensor) -> Tensor:
            value: Tensor = self.loss(queries, documents, *others, **named)
            return value

        return matryoshka(
            loss, query_embeddings, document_embeddings, self.dimensions, self.weights
        )


def _check_dimensions(
    dimensions: Sequence[int], weights: Sequence[float] | None
) -> Sequence[float]:
    """Return the weights, by default all 1."""
    if len(set(dimensions)) != len(dimensions):
        raise ValueError(f"expected distinct dimensions, found {list(dimensions)}")
    if weights is None:
        return [1.0] * len(dimensions)
    if len(weights) != len(dimensions) or not all(0 < w < float("inf") for w in weights):
        raise ValueError(f"expected {len(dimensions)} weights above 0, found {list(weights)}")
    return weights
