"""Plain-loop definitions of the losses: slow, and easy to hold against the formulas."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["contrastive_loss_loops"]


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
