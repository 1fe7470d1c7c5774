"""Numbers as the pages of results show them."""

from __future__ import annotations

__all__ = ["gain", "p_value"]


def gain(value: float, first: float) -> str:
    """Return the relative gain; over 0, where there is none, the difference."""
    return f"{100 * (value / first - 1):+.1f} %" if first > 0 else f"{value - first:+.3f}"


def p_value(p: float) -> str:
    """Return p with four decimals."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
