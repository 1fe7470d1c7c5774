"""Plain-loop definitions of losses and fusion: slow, and easy to hold against the formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["contrastive_loss_loops", "fuse_loops", "mean_loops"]


def contrastive_loss_loops(
    left: Tensor, right: Tensor, weights: Tensor, scale: float, *, normaliser: str
) -> float:
    """Weighted symmetric cross-entropy, pair by pair, in Python floats."""
    n = len(left)
    logit = [
        [
            scale * sum(float(a) * float(b) for a, b in zip(left[i], right[j], strict=True))
            for j in range(n)
        ]
        for i in range(n)
    ]
    total = 0.0
    for i in range(n):
        row = math.log(sum(math.exp(logit[i][j]) for j in range(n)))
        column = math.log(sum(math.exp(logit[j][i]) for j in range(n)))
        total += float(weights[i]) * 0.5 * ((row - logit[i][i]) + (column - logit[i][i]))
    return total / (float(torch.sum(weights)) if normaliser == "weights" else n)


def fuse_loops(
    records: Sequence[Mapping[str, Sequence[float]]], weights: Mapping[str, float]
) -> list[list[float]]:
    """e = normalise(Σ_f ω_f · normalise(v_f)), ω renormalised over the fields of each record."""
    fused = []
    for record in records:
        share = sum(weights[name] for name in record)
        dimension = len(next(iter(record.values())))
        total = [0.0] * dimension
        for name, vector in record.items():
            norm = math.sqrt(sum(x * x for x in vector))
            for d in range(dimension):
                total[d] += weights[name] / share * vector[d] / norm
        norm = math.sqrt(sum(x * x for x in total))
        fused.append([x / norm for x in total])
    return fused


def mean_loops(items: Sequence[Sequence[float]]) -> list[float]:
    """v = normalise(mean over x of normalise(x)), of the items of one field of one record."""
    total = [0.0] * len(items[0])
    for item in items:
        norm = math.sqrt(sum(x * x for x in item))
        for d, x in enumerate(item):
            total[d] += x / norm / len(items)
    norm = math.sqrt(sum(x * x for x in total))
    return [x / norm for x in total]
