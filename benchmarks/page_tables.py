"""Numbers as the pages of results show them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SPLIT_NAMES", "gain", "p_value", "split_cells"]

SPLIT_NAMES = "in domain | novel query | novel document | zero-shot"


def gain(value: float, first: float) -> str:
    """Return the relative gain; over 0, where there is none, the difference."""
    return f"{100 * (value / first - 1):+.1f} %" if first > 0 else f"{value - first:+.3f}"


def p_value(p: float) -> str:
    """Return p with four decimals."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def split_cells(
    means: Sequence[float], spread: Sequence[float] | None, base: Sequence[float] | None
) -> list[str]:
    """Return each split's mean, with its spread and its gain over a base, and the mean of all."""
    cells = []
    for i, value in enumerate(means):
        cell = f"{value:.3f}"
        if spread is not None:
            cell += f" ± {spread[i]:.3f}"
        if base is not None:
            cell += f" ({gain(value, base[i])})"
        cells.append(cell)
    return [*cells, f"{sum(means) / len(means):.3f}"]
