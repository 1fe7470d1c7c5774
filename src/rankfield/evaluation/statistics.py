"""How sure a mean over queries is, and whether two runs differ by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rankfield.errors import MetricError
from rankfield.metrics import Mean, mean_of_defined
from rankfield.metrics.rankings import FloatArray

__all__ = [
    "LEVEL",
    "ROUNDS",
    "PairedTest",
    "bootstrap_interval",
    "bootstrap_intervals",
    "holm",
    "paired_test",
    "paired_tests",
]

ROUNDS = 10_000
"""How often resampling draws anew, by default; for more than 20,000 queries fewer suffice."""

LEVEL = 0.95
"""The confidence of an interval."""

_CHUNK = 2**17
"""Numbers drawn at a time, however many the queries: 1 MiB, which stays in the cache."""
_EQUAL = 1e-9
_MOST_DRAWN = 2 * 10**8
_FEWEST_ROUNDS = 2_000


@dataclass(frozen=True)
class PairedTest:
    """What two runs over the same queries show.

    difference: the mean of second − first over the queries where both are defined, with its
        bootstrap interval.
    p_randomisation: two-sided, of the randomisation test.
    p_bootstrap: two-sided, of the studentised bootstrap test.
    better, worse, equal: on how many queries the second is above, below, and within 1e-9 of the
        first.
    """

    difference: Mean
    p_randomisation: float
    p_bootstrap: float
    better: int
    worse: int
    equal: int

    @property
    def queries(self) -> int:
        """How many queries were compared."""
        return self.difference.queries


def bootstrap_interval(
    values: npt.ArrayLike, *, rounds: int | None = None, seed: int = 0, level: float = LEVEL
) -> Mean:
    """Return the mean of a metric over queries with its percentile bootstrap interval.

    `rounds` times, n of the n values are drawn with replacement and averaged; ``low`` and
    ``high`` are the (1 − level) / 2 and (1 + level) / 2 quantiles of these means (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). NaN values are left out
    first. Below two values there is no interval: ``low`` and ``high`` are None.

    Args:
        values: one for each query, (n,).
        rounds: how many resamples; by default 10,000, above 20,000 queries 2·10⁸ / n and at
            least 2,000, which bounds the time.
        seed: of the resampling; the same seed gives the same interval.
        level: the confidence, in (0, 1).

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

    Metrics that are defined for the same queries share their resamples, so that eleven metrics
    take little longer than one.

    Raises:
        MetricError: as `bootstrap_interval`, or lengths that differ.
    """
    _check(rounds, level)
    found = {}
    for names, columns in _by_defined(values):
        drawn = _resampled_means(columns, _rounds(rounds, len(columns)), seed)
        for position, name in enumerate(names):
            value = mean_of_defined(columns[:, position])
            found[name] = _with_interval(value, drawn[:, position], level)
    return {name: found[name] for name in values}


def paired_test(
    first: npt.ArrayLike, second: npt.ArrayLike, *, rounds: int | None = None, seed: int = 0
) -> PairedTest:
    """Return by how much `second` differs from `first` on the same queries, and by what chance.

    With the differences z_i = second_i − first_i of the n queries where both are defined:

    - the interval is `bootstrap_interval` of z;
    - the randomisation test (Smucker, Allan, Carterette, CIKM 2007) flips the sign of each z_i at
      random; p is the share of flips whose |mean| is at least |z̄|. Where 2^n ≤ rounds all flips
      are tried and p is exact, else p = (flips as far + 1) / (rounds + 1);
    - the bootstrap test (Sakai, SIGIR 2006; Efron and Tibshirani 1993, chapter 16) draws n of
      w_i = z_i − z̄ with replacement and compares t = w̄* / (s* / √n) with t of z;
      p = (draws as far + 1) / (rounds + 1).

    Without queries the difference is None and both p are 1.

    Args:
        first, second: one value for each query, in the same order, (n,); NaN where undefined.
        rounds: how many flips and resamples; by default as `bootstrap_interval`.
        seed: of both.

    Raises:
        MetricError: lengths that differ, no rounds, or an infinite value.
    """
    return paired_tests({"": first}, {"": second}, rounds=rounds, seed=seed)[""]


def paired_tests(
    first: Mapping[str, npt.ArrayLike],
    second: Mapping[str, npt.ArrayLike],
    *,
    rounds: int | None = None,
    seed: int = 0,
) -> dict[str, PairedTest]:
    """Return name → `paired_test` of its values, for the names of `first`.

    Raises:
        MetricError: as `paired_test`.
    """
    _check(rounds, LEVEL)
    differences = {}
    for name, values in first.items():
        before, after = np.asarray(values, np.float64), np.asarray(second[name], np.float64)
        if before.shape != after.shape:
            raise MetricError(
                f"expected values of the same queries, found {before.shape} and {after.shape}",
                where="paired test",
            )
        differences[name] = after - before
    found: dict[str, PairedTest] = {}
    for names, z in _by_defined(differences):
        tests = _tests(z, _rounds(rounds, len(z)), seed)
        found.update(zip(names, tests, strict=True))
    return {name: found[name] for name in first}


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return the p-values adjusted for being looked at together, in the same order.

    With p_(1) ≤ … ≤ p_(m): adjusted p_(i) = min(1, max_{j ≤ i} (m − j + 1) · p_(j)). Calling what
    is below α a finding errs in any of the m with a chance of at most α, however the tests depend
    on each other (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    Raises:
        MetricError: a value outside [0, 1].
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise MetricError("expected p-values in [0, 1]", where="Holm's correction")
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return adjusted


def _check(rounds: int | None, level: float) -> None:
    if rounds is not None and rounds < 1:
        raise MetricError(f"expected at least 1 round, found {rounds}", where="resampling")
    if not 0 < level < 1:
        raise MetricError(f"expected a level between 0 and 1, found {level}", where="resampling")


def _rounds(rounds: int | None, queries: int) -> int:
    if rounds is not None:
        return rounds
    return min(ROUNDS, max(_FEWEST_ROUNDS, _MOST_DRAWN // max(queries, 1)))


def _by_defined(values: Mapping[str, npt.ArrayLike]) -> Iterator[tuple[list[str], FloatArray]]:
    """Yield names that are defined for the same queries, with the values of these, (n, names)."""
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


def _resampled_means(columns: FloatArray, rounds: int, seed: int) -> FloatArray:
    """Return the means of `rounds` draws of n rows with replacement, (rounds, columns)."""
    count = len(columns)
    means = np.full((rounds, columns.shape[1]), np.nan)
    if not count:
        return means
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // count)
    offsets = np.arange(size)[:, None] * count
    for start in range(0, rounds, size):
        rows = rng.integers(0, count, (min(size, rounds - start), count))
        rows += offsets[: len(rows)]
        drawn = np.bincount(rows.ravel(), minlength=rows.size).reshape(rows.shape)
        means[start : start + size] = drawn.astype(np.float64) @ columns / count
    return means


def _with_interval(mean: Mean, drawn: FloatArray, level: float) -> Mean:
    if mean.value is None or mean.queries < 2:
        return mean
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    # Equal values may average to a mean that differs in the last bit.
    return Mean(mean.value, mean.queries, min(float(low), mean.value), max(float(high), mean.value))


def _tests(z: FloatArray, rounds: int, seed: int) -> list[PairedTest]:
    """Return the test of each column of differences (n, columns), none of them NaN."""
    means = z.mean(axis=0) if len(z) else np.zeros(z.shape[1])
    shifted = np.where(np.ptp(z, axis=0) == 0, 0.0, z - means) if len(z) else z
    drawn = _resampled_means(np.hstack([shifted, shifted**2]), rounds, seed)
    first, second = np.hsplit(drawn, 2)
    as_likely = _bootstrap_p(means, shifted, first, second)
    flipped = _randomisation_p(z, rounds, seed)
    tests = []
    for column, values in enumerate(z.T):
        difference = _with_interval(
            mean_of_defined(values), first[:, column] + means[column], LEVEL
        )
        better, worse = int((values > _EQUAL).sum()), int((values < -_EQUAL).sum())
        tests.append(
            PairedTest(
                difference,
                float(flipped[column]),
                float(as_likely[column]),
                better,
                worse,
                len(values) - better - worse,
            )
        )
    return tests


def _bootstrap_p(
    means: FloatArray, shifted: FloatArray, first: FloatArray, second: FloatArray
) -> FloatArray:
    """Return the share of resamples whose |t| reaches that of the observed differences.

    `first` and `second`: the resamples' means of w and w², (rounds, columns).
    """
    if not len(shifted):
        return np.ones(len(means))
    spread = np.sqrt((shifted**2).mean(axis=0))
    spreads = np.sqrt(np.maximum(second - first**2, 0.0))
    # |w̄*| / s* ≥ |z̄| / s, without dividing by a spread of 0; 0 / 0 reaches 0 only.
    reached = np.abs(first) * spread >= np.abs(means) * spreads * (1 - _EQUAL)
    reached &= (spreads > 0) | (first != 0) | (means == 0)
    shares: FloatArray = (reached.sum(axis=0) + 1.0) / (len(first) + 1.0)
    return shares


def _randomisation_p(z: FloatArray, rounds: int, seed: int) -> FloatArray:
    count = len(z)
    exact = count < 63 and 2**count <= rounds
    tried = 2**count if exact else rounds
    rng = np.random.default_rng(seed)
    total, room = z.sum(axis=0), np.abs(z).sum(axis=0)
    reached = np.zeros(z.shape[1])
    size = max(1, _CHUNK // max(count, 1))
    for start in range(0, tried, size):
        rows = min(size, tried - start)
        kept = _every_choice(start, rows, count) if exact else _choices(rng, rows, count)
        sums = 2.0 * (kept @ z) - total
        # The same sum in another order may differ in its last bits.
        reached += (np.abs(sums) >= np.abs(total) - 1e-12 * room).sum(axis=0)
    shares: FloatArray = reached / tried if exact else (reached + 1) / (tried + 1)
    return shares


def _every_choice(start: int, rows: int, count: int) -> FloatArray:
    """Return the bits of the numbers from `start`, (rows, count): which signs are kept."""
    bits: FloatArray = (np.arange(start, start + rows)[:, None] >> np.arange(count) & 1).astype(
        np.float64
    )
    return bits


def _choices(rng: np.random.Generator, rows: int, count: int) -> FloatArray:
    """Return random bits, (rows, count)."""
    drawn = rng.integers(0, 256, (rows, (count + 7) // 8), dtype=np.uint8)
    return np.unpackbits(drawn, axis=1, count=count).astype(np.float64)
