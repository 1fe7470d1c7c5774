"""Whether two runs, or two recipes by several runs of each, differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rankfield.errors import MetricError
from rankfield.evaluation.intervals import bounded_ends
from rankfield.evaluation.randomisation import randomisation_p
from rankfield.evaluation.resampling import (
    LEVEL,
    by_defined,
    check_sampling,
    resampled_means,
    rounds_for,
)
from rankfield.evaluation.seeds import recipe_p
from rankfield.metrics import Mean, mean_of_defined
from rankfield.metrics.rankings import FloatArray

__all__ = ["SIGNIFICANT", "PairedTest", "holm", "paired_test", "paired_tests"]

SIGNIFICANT = 0.05
"""Below this adjusted p a difference counts as more than chance."""

_EQUAL = 1e-9


@dataclass(frozen=True)
class PairedTest:
    """What two runs, or several runs of two recipes, show over the same queries.

    difference: the mean of second − first over the queries where both are defined, with its
        interval.
    p_randomisation: two-sided, of the randomisation test of the queries' differences (of several
        runs, their mean): about these models.
    p_bootstrap: two-sided, of the studentised bootstrap test of the same.
    better, worse, equal: on how many queries the second is above, below, and within 1e-9 of the
        first.
    p_seeds: two-sided, of the bootstrap of runs and queries, at least p_randomisation: about the
        recipes. None where both have one run, or there are fewer than two queries.
    """

    difference: Mean
    p_randomisation: float
    p_bootstrap: float
    better: int
    worse: int
    equal: int
    p_seeds: float | None = None

    @property
    def queries(self) -> int:
        """How many queries were compared."""
        return self.difference.queries

    @property
    def p_value(self) -> float:
        """What a decision goes by: `p_seeds` where there are several runs."""
        return self.p_randomisation if self.p_seeds is None else self.p_seeds


def paired_test(
    first: npt.ArrayLike, second: npt.ArrayLike, *, rounds: int | None = None, seed: int = 0
) -> PairedTest:
    """Return by how much `second` differs from `first` on the same queries, and by what chance.

    With the differences z_i = second_i − first_i of the n queries where both are defined:

    - the randomisation test (Smucker, Allan, Carterette, CIKM 2007) flips the sign of each z_i at
      random; p is the share of flips whose |mean| is at least |z̄|, as
      `randomisation.randomisation_p`. It holds where the two values of a query could be exchanged
      if nothing differed, so that z is symmetric around 0;
    - the bootstrap test (Sakai, SIGIR 2006; Efron and Tibshirani 1993, chapter 16) draws n of
      w_i = z_i − z̄ with replacement and compares t = w̄* / (s* / √n) with t of z;
      p = (draws as far + 1) / (rounds + 1);
    - the interval is z̄ ± q s / √n, with q the 95 % quantile of the draws' |t|: it leaves out 0
      where p of the bootstrap test is below 0.05. Where all |z_i| ≤ 1, it is no wider than that of
      `mean_interval` for values in [−1, 1].

    With several runs of each, (runs, n), z is of the means over runs, ``p_seeds`` and the interval
    are those of `seeds.recipe_p`, and a query counts where all runs are defined.

    Without queries the difference is None and both p are 1.

    Args:
        first, second: one value for each query, in the same order, (n,), or (runs, n) of several
            runs; NaN where undefined.
        rounds: how many flips and resamples; by default as `mean_interval`, with every flip of up
            to 18 queries and no floor of the randomisation test.
        seed: of both.

    Raises:
        MetricError: other numbers of queries, no rounds, or an infinite value.
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
    check_sampling(rounds)
    sides = {name: (_runs(values), _runs(second[name])) for name, values in first.items()}
    differences = {}
    for name, (before, after) in sides.items():
        if before.shape[1] != after.shape[1]:
            raise MetricError(
                "expected values of the same queries, found "
                f"{before.shape[1]:,} and {after.shape[1]:,}",
                where="paired test",
            )
        differences[name] = after.mean(axis=0) - before.mean(axis=0)
    found: dict[str, PairedTest] = {}
    for names, z in by_defined(differences):
        tests = _tests(z, rounds, seed)
        for name, test in zip(names, tests, strict=True):
            several = max(len(side) for side in sides[name]) > 1 and test.queries > 1
            found[name] = _of_recipes(test, *sides[name], rounds, seed) if several else test
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


def _runs(values: npt.ArrayLike) -> FloatArray:
    """Return values as (runs, n)."""
    array = np.asarray(values, np.float64)
    if array.ndim not in (1, 2) or not len(np.atleast_2d(array)):
        raise MetricError("expected one value for each query", where="paired test")
    if np.isinf(array).any():
        raise MetricError("expected finite values, found infinity", where="paired test")
    return np.atleast_2d(array)


def _of_recipes(
    test: PairedTest, first: FloatArray, second: FloatArray, rounds: int | None, seed: int
) -> PairedTest:
    """Return the test with the interval and the p of recipes."""
    value = test.difference.value
    assert value is not None
    known = ~(np.isnan(first).any(axis=0) | np.isnan(second).any(axis=0))
    drawn = rounds_for(rounds, int(known.sum()))
    p, half = recipe_p(first[:, known], second[:, known], drawn, seed, LEVEL)
    difference = replace(test.difference, low=value - half, high=value + half)
    # What is unclear of these models is no clearer of their recipes.
    return replace(test, difference=difference, p_seeds=max(p, test.p_randomisation))


def _tests(z: FloatArray, given: int | None, seed: int) -> list[PairedTest]:
    """Return the test of each column of differences (n, columns), none of them NaN."""
    rounds = rounds_for(given, len(z))
    means = z.mean(axis=0) if len(z) else np.zeros(z.shape[1])
    shifted = np.where(np.ptp(z, axis=0) == 0, 0.0, z - means) if len(z) else z
    drawn = resampled_means(np.hstack([shifted, shifted**2]), rounds, seed)
    first, second = np.hsplit(drawn, 2)
    as_likely = _bootstrap_p(means, shifted, first, second)
    flipped = randomisation_p(z, given, seed)
    halves = _half_widths(shifted, first, second)
    intervals = _intervals(z, means, halves, rounds, seed)
    better, worse = (z > _EQUAL).sum(axis=0), (z < -_EQUAL).sum(axis=0)
    return [
        PairedTest(
            intervals[i],
            float(flipped[i]),
            float(as_likely[i]),
            int(better[i]),
            int(worse[i]),
            len(z) - int(better[i]) - int(worse[i]),
        )
        for i in range(z.shape[1])
    ]


def _intervals(
    z: FloatArray, means: FloatArray, halves: FloatArray, rounds: int, seed: int
) -> list[Mean]:
    """Return the mean of each column with its interval; without one where nothing bounds it."""
    found = [mean_of_defined(values) for values in z.T]
    if len(z) < 2:
        return found
    low, high = means - halves, means + halves
    inside = (np.abs(z) <= 1).all(axis=0)
    if inside.any():
        least, most = bounded_ends(z[:, inside], (-1.0, 1.0), rounds, seed, LEVEL)
        low[inside] = np.maximum(low[inside], least)
        high[inside] = np.minimum(high[inside], most)
    return [
        replace(mean, low=min(float(a), mean.value), high=max(float(b), mean.value))
        if mean.value is not None and np.isfinite([a, b]).all()
        else mean
        for mean, a, b in zip(found, low, high, strict=True)
    ]


def _half_widths(shifted: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return z̄'s distance to the ends of the studentised interval; infinite if s* is often 0.

    `first` and `second`: the resamples' means of w and w², (rounds, columns).
    """
    if len(shifted) < 2:
        return np.zeros(shifted.shape[1])
    spread = np.sqrt((shifted**2).mean(axis=0))
    spreads = np.sqrt(np.maximum(second - first**2, 0.0))
    none = spreads <= _EQUAL * spread
    t = np.abs(first) / np.where(none, 1.0, spreads)
    t = np.where(none, np.where(first == 0, 0.0, np.inf), t)
    quantile = np.quantile(t, LEVEL, axis=0, method="higher")
    # The same difference everywhere says nothing of its spread.
    halves: FloatArray = np.where(spread > 0, quantile * spread, np.inf)
    return halves


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
