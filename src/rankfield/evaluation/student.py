"""Student's t distribution; numpy has none, and scipy is no part of the core."""

from __future__ import annotations

import math

__all__ = ["student_p"]

_TERMS = 10_000
_CLOSE = 1e-14
_TINY = 1e-300


def student_p(t: float, degrees: float) -> float:
    """Return P(|T| ≥ |t|) for Student's t with `degrees` > 0, which need not be whole.

    It is I_x(degrees / 2, 1 / 2), the regularised incomplete beta function, at
    x = degrees / (degrees + t²), by its continued fraction (Press et al., Numerical Recipes, 6.4).
    """
    x = degrees / (degrees + t * t)
    a, b = degrees / 2, 0.5
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1 - front * _fraction(1 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, _away(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
