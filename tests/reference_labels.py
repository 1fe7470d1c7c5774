"""The position-based click model as plain loops, after Chuklin, Markov, de Rijke (2015), 4.2."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["em_step", "log_likelihood"]

Cell = tuple[int, int, float, float]
"""pair, position (from 1), impressions, clicks."""


def em_step(
    cells: Sequence[Cell], theta: dict[int, float], alpha: dict[int, float]
) -> tuple[dict[int, float], dict[int, float]]:
    """One step, impression by impression."""
    examined: dict[int, list[float]] = {}
    attracted: dict[int, list[float]] = {}
    for pair, position, impressions, clicks in cells:
        t, a = theta[position], alpha[pair]
        for i in range(int(impressions)):
            clicked = i < clicks
            examined.setdefault(position, []).append(1.0 if clicked else t * (1 - a) / (1 - t * a))
            attracted.setdefault(pair, []).append(1.0 if clicked else a * (1 - t) / (1 - t * a))
    return (
        {k: sum(v) / len(v) for k, v in examined.items()},
        {p: sum(v) / len(v) for p, v in attracted.items()},
    )


def log_likelihood(
    cells: Sequence[Cell], theta: dict[int, float], alpha: dict[int, float]
) -> float:
    total = 0.0
    for pair, position, impressions, clicks in cells:
        p = theta[position] * alpha[pair]
        total += clicks * math.log(p) if clicks else 0.0
        total += (impressions - clicks) * math.log(1 - p)
    return total
