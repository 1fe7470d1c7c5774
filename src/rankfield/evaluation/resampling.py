"""What intervals and tests share: how often is drawn, and the draws themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from rankfield.errors import MetricError
from rankfield.metrics.rankings import FloatArray

__all__ = [
    "CHUNK",
    "LEVEL",
    "ROUNDS",
    "by_defined",
    "check_sampling",
    "resampled_means",
    "rounds_for",
    "weighted_means",
]

ROUNDS = 10_000
"""How often resampling draws by default; for more than 20,000 queries fewer suffice."""

LEVEL = 0.95
"""The confidence of an interval."""

CHUNK = 2**17
"""Numbers drawn at a time, however many the queries: 1 MiB, which stays in the cache."""

_MOST_DRAWN = 2 * 10**8
_FEWEST_ROUNDS = 2_000


def check_sampling(rounds: int | None, level: float = LEVEL) -> None:
    """Refuse no rounds and a level outside (0, 1).

    Raises:
        MetricError: one of them.
    """
    if rounds is not None and rounds < 1:
        raise MetricError(f"expected at least 1 round, found {rounds}", where="resampling")
    if not 0 < level < 1:
        raise MetricError(f"expected a level between 0 and 1, found {level}", where="resampling")


def rounds_for(rounds: int | None, queries: int) -> int:
    """Return `rounds`, by default 10,000; above 20,000 queries 2·10⁸ / n and at least 2,000."""
    if rounds is not None:
        return rounds
    return min(ROUNDS, max(_FEWEST_ROUNDS, _MOST_DRAWN // max(queries, 1)))


def by_defined(values: Mapping[str, npt.ArrayLike]) -> Iterator[tuple[list[str], FloatArray]]:
    """Yield names that are defined for the same queries, with the values of these, (n, names).

    Raises:
        MetricError: lengths that differ, or an infinite value.
    """
    arrays = {name: np.asarray(column, np.float64) for name, column in values.items()}
    shapes = {column.shape for column in arrays.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise MetricError("expected one value for each query", where="resampling")
    groups: dict[bytes, list[str]] = {}
    for name, column in arrays.items():
        if np.isinf(column).any():
            raise MetricError("expected finite values, found infinity", where=f"metric {name!r}")
        groups.setdefault(np.isnan(column).tobytes(), []).append(name)
    for names in groups.values():
        columns = np.stack([arrays[name] for name in names], axis=1)
        yield names, columns[~np.isnan(columns[:, 0])]


def resampled_means(columns: FloatArray, rounds: int, seed: int) -> FloatArray:
    """Return the means of `rounds` draws of n rows with replacement, (rounds, columns)."""
    count = len(columns)
    means = np.full((rounds, columns.shape[1]), np.nan)
    if not count:
        return means
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK // count)
    offsets = np.arange(size)[:, None] * count
    for start in range(0, rounds, size):
        rows = rng.integers(0, count, (min(size, rounds - start), count))
        rows += offsets[: len(rows)]
        drawn = np.bincount(rows.ravel(), minlength=rows.size).reshape(rows.shape)
        means[start : start + size] = drawn.astype(np.float64) @ columns / count
    return means


def weighted_means(columns: FloatArray, rounds: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return Σ_i D_i x_i, (rounds, columns), and D_{n+1}, (rounds, 1), with random D.

    D is drawn from Dirichlet(1, …, 1) over n + 1 places: exponential numbers over their sum. The
    last place is that of a value which was not observed.
    """
    count = len(columns)
    means, rest = np.empty((rounds, columns.shape[1])), np.empty((rounds, 1))
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK // (count + 1))
    for start in range(0, rounds, size):
        drawn = rng.standard_exponential((min(size, rounds - start), count + 1))
        drawn /= drawn.sum(axis=1, keepdims=True)
        means[start : start + size] = drawn[:, :count] @ columns
        rest[start : start + size] = drawn[:, count:]
    return means, rest
