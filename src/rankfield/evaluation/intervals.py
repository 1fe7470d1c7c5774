"""How sure a mean over queries is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rankfield.evaluation.resampling import (
    LEVEL,
    by_defined,
    check_sampling,
    resampled_means,
    rounds_for,
    weighted_means,
)
from rankfield.metrics import Mean, mean_of_defined
from rankfield.metrics.rankings import FloatArray

__all__ = [
    "bootstrap_interval",
    "bootstrap_intervals",
    "bounded_ends",
    "mean_interval",
    "mean_intervals",
]

_Ends = Callable[[FloatArray, int], tuple[FloatArray, FloatArray]]


def mean_interval(
    values: npt.ArrayLike, *, rounds: int | None = None, seed: int = 0, level: float = LEVEL
) -> Mean:
    """Return the mean of a metric in [0, 1] over queries with its confidence interval.

    ``low`` is the (1 − level) / 2 quantile of Σ_i D_i x_i and ``high`` the (1 + level) / 2
    quantile of Σ_i D_i x_i + D_{n+1}, with D from Dirichlet(1, …, 1) over n + 1 places (Gaffke,
    2005; Learned-Miller and Thomas, arXiv 1905.06208): a resampling in which one more value
    counts, the worst for ``low`` and the best for ``high``. For values of 0 and 1 it is the
    interval of Clopper and Pearson. Its coverage is at least `level`, near 0 and 1 and for few
    queries too: proved for values of 0 and 1, elsewhere no exception is known.

    NaN values are left out first. Below two values ``low`` and ``high`` are None. Where a value is
    outside [0, 1], the interval is that of `bootstrap_interval`.

    Args:
        values: one for each query, (n,).
        rounds: how many draws; by default 10,000, above 20,000 queries 2·10⁸ / n and at least
            2,000, which bounds the time.
        seed: of the draws; the same seed gives the same interval.
        level: the confidence, in (0, 1).

    Raises:
        MetricError: no rounds, a level outside (0, 1), or an infinite value.
    """
    return mean_intervals({"": values}, rounds=rounds, seed=seed, level=level)[""]


def mean_intervals(
    values: Mapping[str, npt.ArrayLike],
    *,
    rounds: int | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Mean]:
    """Return name → `mean_interval` of its values; all are over the same n queries.

    Metrics that are defined for the same queries share their draws, so that eleven metrics take
    little longer than one.

    Raises:
        MetricError: as `mean_interval`, or lengths that differ.
    """
    return _all_intervals(values, rounds, seed, level, bounded=True)


def bootstrap_interval(
    values: npt.ArrayLike, *, rounds: int | None = None, seed: int = 0, level: float = LEVEL
) -> Mean:
    """Return the mean of any values over queries with its percentile bootstrap interval.

    `rounds` times, n of the n values are drawn with replacement and averaged; ``low`` and
    ``high`` are the (1 − level) / 2 and (1 + level) / 2 quantiles of these means (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). NaN values are left out
    first. Below two values there is no interval: ``low`` and ``high`` are None. For a metric in
    [0, 1] take `mean_interval`: for few or extreme values this one is much too narrow.

    Args:
        values: one for each query, (n,).
        rounds, seed, level: as `mean_interval`.

    Raises:
        MetricError: no rounds, a level outside (0, 1), or an infinite value.
    """
    return bootstrap_intervals({"": values}, rounds=rounds, seed=seed, level=level)[""]


def bootstrap_intervals(
    values: Mapping[str, npt.ArrayLike],
    *,
    rounds: int | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Mean]:
    """Return name → `bootstrap_interval` of its values; all are over the same n queries.

    Raises:
        MetricError: as `bootstrap_interval`, or lengths that differ.
    """
    return _all_intervals(values, rounds, seed, level, bounded=False)


def bounded_ends(
    columns: FloatArray, bounds: tuple[float, float], rounds: int, seed: int, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interval for values within `bounds`, each (columns,)."""
    least, most = bounds
    means, rest = weighted_means(columns, rounds, seed)
    low = np.quantile(means + least * rest, (1 - level) / 2, axis=0)
    high = np.quantile(means + most * rest, (1 + level) / 2, axis=0)
    return low, high


def _all_intervals(
    values: Mapping[str, npt.ArrayLike],
    rounds: int | None,
    seed: int,
    level: float,
    *,
    bounded: bool,
) -> dict[str, Mean]:
    """Return name → mean with its interval; `bounded`: by `bounded_ends` for values in [0, 1]."""
    check_sampling(rounds, level)
    found: dict[str, Mean] = {}
    for names, columns in by_defined(values):
        drawn = rounds_for(rounds, len(columns))
        inside = ((columns >= 0) & (columns <= 1)).all(axis=0) & bounded
        for chosen, ends in (
            (inside, lambda x, r: bounded_ends(x, (0.0, 1.0), r, seed, level)),
            (~inside, lambda x, r: _percentile_ends(x, r, seed, level)),
        ):
            kept = np.flatnonzero(chosen)
            if not len(kept):
                continue
            # Not copied where all are kept anyway: another layout would change the last bits.
            part = columns[:, kept] if bounded else columns
            found |= _intervals([names[i] for i in kept], part, ends, drawn)
    return {name: found[name] for name in values}


def _percentile_ends(
    columns: FloatArray, rounds: int, seed: int, level: float
) -> tuple[FloatArray, FloatArray]:
    drawn = resampled_means(columns, rounds, seed)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _intervals(names: list[str], columns: FloatArray, ends: _Ends, rounds: int) -> dict[str, Mean]:
    """Return name → the mean of its column, with the interval that `ends` gives."""
    means = [mean_of_defined(column) for column in columns.T]
    if len(columns) < 2:
        return dict(zip(names, means, strict=True))
    found = {}
    for name, mean, low, high in zip(names, means, *ends(columns, rounds), strict=True):
        assert mean.value is not None
        # Equal values may average to a mean that differs in the last bit.
        found[name] = replace(
            mean, low=min(float(low), mean.value), high=max(float(high), mean.value)
        )
    return found
