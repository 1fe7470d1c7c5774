"""How far judges agree: Cohen's weighted kappa, Krippendorff's alpha, Kendall's tau."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rankfield.errors import MetricError

__all__ = ["cohen_kappa", "confusion_table", "kendall_tau", "krippendorff_alpha"]

Floats = NDArray[np.float64]


def confusion_table(first: ArrayLike, second: ArrayLike, grades: ArrayLike) -> NDArray[np.int64]:
    """Return how often the first judge gave grade i and the second grade j, shape (K, K).

    Args:
        first: grades, shape (N,), of pairs that both judged.
        second: grades, shape (N,).
        grades: the K grades there are, ascending.

    Raises:
        MetricError: different lengths, or a value that is none of the grades.
    """
    values = np.asarray(grades, dtype=np.float64)
    one, other = _pair(first, second)
    codes = []
    for name, given in (("first", one), ("second", other)):
        code = np.minimum(np.searchsorted(values, given), len(values) - 1)
        wrong = values[code] != given
        if wrong.any():
            raise MetricError(
                f"the {name} judge gave {given[wrong][0]:g}, which is none of the grades "
                + ", ".join(f"{v:g}" for v in values),
                where="agreement",
            )
        codes.append(code)
    table = np.zeros((len(values), len(values)), dtype=np.int64)
    np.add.at(table, (codes[0], codes[1]), 1)
    return table


def cohen_kappa(
    table: ArrayLike,
    weights: Literal["none", "linear", "quadratic"] = "quadratic",
    grades: ArrayLike | None = None,
) -> float | None:
    """Return Cohen's kappa of a confusion table O, shape (K, K); 1 is agreement, 0 chance.

    κ = 1 − Σ w_ij O_ij / Σ w_ij E_ij with E_ij = (row sum i · column sum j) / N and w_ij = [i ≠ j],
    |i − j| (linear) or (i − j)² (quadratic), i and j the places of the grades, or the `grades`
    themselves, shape (K,), where they are given (Cohen 1960, 1968).
    None where chance alone would always agree: both judges give one grade, or nothing was judged.
    """
    observed = np.asarray(table, dtype=np.float64)
    total = observed.sum()
    if not total:
        return None
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / total
    places = np.arange(len(observed)) if grades is None else np.asarray(grades, dtype=np.float64)
    apart = np.abs(np.subtract.outer(places, places))
    weight = {"none": apart > 0, "linear": apart, "quadratic": apart**2}[weights]
    chance = float((weight * expected).sum())
    return None if chance == 0 else 1.0 - float((weight * observed).sum()) / chance


def krippendorff_alpha(units: ArrayLike, scores: ArrayLike) -> float | None:
    """Return Krippendorff's alpha of interval data; 1 is agreement, 0 chance.

    α = 1 − D_o / D_e over the n scores of units that two or more judges scored: with m_u scores
    s_ui of unit u, D_o = Σ_u Σ_{i ≠ j} (s_ui − s_uj)² / (m_u − 1) / n, and D_e = Σ_{i ≠ j}
    (s_i − s_j)² / (n (n − 1)) over all of them (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability"). None where there is no such unit, or all scores are equal.

    Args:
        units: what each score is of, shape (N,): equal values are one unit.
        scores: shape (N,); any number of judges, who need not have scored the same units.

    Raises:
        MetricError: different lengths, or a score that is not finite.
    """
    codes, values = _pair(np.unique(np.asarray(units), return_inverse=True)[1], scores)
    unit = codes.astype(np.int64)
    paired = np.bincount(unit)[unit] > 1 if len(unit) else np.zeros(0, dtype=bool)
    unit, values = unit[paired], values[paired]
    n = len(values)
    if not n or (values == values[0]).all():
        return None
    values = values - values.mean()  # squares of large scores would lose the differences
    counts, sums, squares = (np.bincount(unit, w) for w in (None, values, values**2))
    here = counts > 1
    # Σ_{i ≠ j} (s_i − s_j)² = 2 (m Σ s² − (Σ s)²)
    within = 2 * (counts * squares - sums**2)[here] / (counts[here] - 1)
    between = 2 * (n * (values**2).sum() - values.sum() ** 2) / (n - 1)
    return float(1.0 - within.sum() / between)


def kendall_tau(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return Kendall's τ_b of two lists of scores, from −1 to 1 (`scipy.stats.kendalltau`).

    τ_b = (C − D) / √((n₀ − n₁)(n₀ − n₂)) with C pairs in the same order and D in opposite order,
    n₀ = N(N − 1)/2, and n₁, n₂ the pairs that tie in the first and in the second list. None where
    all scores of a list are equal.

    Raises:
        MetricError: different lengths, or a score that is not finite.
    """
    from scipy.stats import kendalltau

    one, other = _pair(first, second)
    if not len(one) or (one == one[0]).all() or (other == other[0]).all():
        return None
    return float(kendalltau(one, other).statistic)


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    one, other = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if one.shape != other.shape or one.ndim != 1:
        raise MetricError(
            f"expected two lists of one length, found {one.shape} and {other.shape}",
            where="agreement",
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise MetricError("expected finite scores", where="agreement")
    return one, other
