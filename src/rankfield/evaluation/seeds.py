"""Whether two recipes differ, by several runs of each: a bootstrap of runs and queries."""

from __future__ import annotations

import numpy as np

from rankfield.evaluation.resampling import resampled_means
from rankfield.evaluation.student import student_p
from rankfield.metrics.rankings import FloatArray

__all__ = ["recipe_p"]

_FEW = 10
"""With fewer draws as far than this, their share says little: Student's t says more."""


def recipe_p(
    first: FloatArray, second: FloatArray, rounds: int, seed: int, level: float
) -> tuple[float, float]:
    """Return the two-sided p of the difference of two recipes, and half of its interval.

    With d the difference of the means over runs and queries, V = s²_A / S_A + s²_B / S_B +
    s²_z / n: the variances of the runs' means (of one run: 0, it stands for itself) and of the
    queries' differences. Each draw takes S_A of the S_A runs, S_B of the S_B runs and n of the n
    queries with replacement; p is the share of draws whose |d* − d| / √V* reaches |d| / √V, and
    half of the interval is √V times the `level` quantile of the draws. Where fewer than 10 draws
    reach it, p is Student's, with Satterthwaite's degrees of freedom (Biometrics Bulletin 2(6),
    1946), so that p has no floor.

    Args:
        first, second: a metric of each run and query, (runs, n), finite; one of them has two runs
            or more, and n is 2 or more.
        rounds, seed: of the draws.
        level: the confidence of the interval.
    """
    differences = second.mean(axis=0) - first.mean(axis=0)
    difference, count = float(differences.mean()), len(differences)
    parts = [_seeds(first.mean(axis=1)[None])[0], _seeds(second.mean(axis=1)[None])[0]]
    parts.append(differences.var(ddof=1) / count)
    variance = float(sum(parts))
    if variance <= 1e-18:
        return (1.0 if abs(difference) < 1e-9 else 1 / (rounds + 1)), 0.0
    far = _distances(first, second, difference, rounds, seed)
    reached = int((far >= abs(difference) / variance**0.5).sum())
    half = float(np.quantile(far, level, method="higher")) * variance**0.5
    if reached >= _FEW:
        return (reached + 1) / (rounds + 1), half
    freedom = (len(first) - 1, len(second) - 1, count - 1)
    shares = sum(v**2 / f for v, f in zip(parts, freedom, strict=True) if f)
    return student_p(difference / variance**0.5, variance**2 / shares), half


def _distances(
    first: FloatArray, second: FloatArray, difference: float, rounds: int, seed: int
) -> FloatArray:
    """Return |d* − d| / √V* of each draw of runs and queries, (rounds,)."""
    differences = second.mean(axis=0) - first.mean(axis=0)
    drawn = resampled_means(np.vstack([first, second, differences**2]).T, rounds, seed)
    rng = np.random.default_rng([seed, 1])
    one, two, squares = np.split(drawn, [len(first), len(first) + len(second)], axis=1)
    spread = np.maximum(squares[:, 0] - (two.mean(axis=1) - one.mean(axis=1)) ** 2, 0.0)
    one, two = _chosen(rng, one), _chosen(rng, two)
    variances = _seeds(one) + _seeds(two) + spread / (len(differences) - 1)
    far = np.abs(two.mean(axis=1) - one.mean(axis=1) - difference)
    # A draw without any spread is as far as can be, unless it is at d itself.
    return np.where(far > 1e-12, far / np.sqrt(np.maximum(variances, 1e-18)), 0.0)


def _seeds(means: FloatArray) -> FloatArray:
    """Return the variance of the mean over runs, (draws,), of runs' means (draws, runs)."""
    runs = means.shape[1]
    if runs < 2:
        return np.zeros(len(means))
    variances: FloatArray = means.var(axis=1, ddof=1) / runs
    return variances


def _chosen(rng: np.random.Generator, means: FloatArray) -> FloatArray:
    """Return as many runs, drawn with replacement in each row, (draws, runs)."""
    picked = rng.integers(0, means.shape[1], means.shape)
    return np.take_along_axis(means, picked, axis=1)
