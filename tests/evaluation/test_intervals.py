"""The interval of a metric in [0, 1], against independent computation and by its coverage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from rankfield.evaluation import bootstrap_interval, mean_interval, mean_intervals
from rankfield.metrics import Mean

Floats = npt.NDArray[np.float64]


def test_by_a_plain_loop() -> None:
    values = np.random.default_rng(0).beta(2, 3, 17)
    rng = np.random.default_rng(4)
    lows, highs = [], []
    for _ in range(500):
        parts = [rng.standard_exponential() for _ in range(18)]
        total = sum(parts)
        mean = sum(p * v for p, v in zip(parts, values, strict=False)) / total
        lows.append(mean)
        highs.append(mean + parts[17] / total)
    found = mean_interval(values, rounds=500, seed=4, level=0.9)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(np.quantile(lows, 0.05))
    assert found.high == pytest.approx(np.quantile(highs, 0.95))


@pytest.mark.parametrize(("ones", "queries"), [(0, 20), (1, 20), (7, 20), (20, 20), (95, 100)])
def test_of_zeros_and_ones_it_is_clopper_and_pearsons(ones: int, queries: int) -> None:
    found = mean_interval([1.0] * ones + [0.0] * (queries - ones), rounds=40_000)
    exact = scipy.stats.binomtest(ones, queries).proportion_ci(method="exact")
    assert found.low == pytest.approx(exact.low, abs=0.005)
    assert found.high == pytest.approx(exact.high, abs=0.005)


def test_with_many_queries_it_is_the_bootstraps() -> None:
    values = np.random.default_rng(1).beta(2, 3, 4_000)
    found = mean_interval(values)
    for method in ("percentile", "BCa"):
        theirs = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=4_000, method=method, rng=3, batch=500
        ).confidence_interval
        width = theirs.high - theirs.low
        assert found.low == pytest.approx(theirs.low, abs=0.08 * width)
        assert found.high == pytest.approx(theirs.high, abs=0.08 * width)


def _with(value: float, share: float) -> Callable[[np.random.Generator, int], Floats]:
    def draw(rng: np.random.Generator, size: int) -> Floats:
        return np.where(rng.random(size) < share, value, rng.random(size))

    return draw


CASES: dict[str, tuple[Callable[[np.random.Generator, int], Floats], float]] = {
    "skewed": (lambda rng, size: rng.beta(0.5, 1.5, size), 0.25),
    "near 0": (_with(0.0, 0.9), 0.05),
    "near 1": (_with(1.0, 0.9), 0.95),
    "rare": (lambda rng, size: (rng.random(size) < 0.05).astype(float), 0.05),
    "long tail near 1": (lambda rng, size: rng.beta(8, 0.2, size), 8 / 8.2),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("queries", [8, 20, 50])
def test_it_holds_the_true_mean_as_often_as_it_says(case: str, queries: int) -> None:
    draw, mean = CASES[case]
    rng = np.random.default_rng(2)
    samples = np.stack([draw(rng, queries) for _ in range(400)], axis=1)
    found = mean_intervals({str(i): samples[:, i] for i in range(400)}, rounds=1_000)
    assert np.mean([_holds(one, mean) for one in found.values()]) >= 0.94
    # The percentile interval does not where values of another kind are rare.
    percentile = [bootstrap_interval(samples[:, i], rounds=200) for i in range(100)]
    if case != "skewed" and queries <= 20:
        assert np.mean([_holds(one, mean) for one in percentile]) < 0.93


def _holds(found: Mean, mean: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= mean <= found.high


def test_values_outside_get_a_bootstrap_interval_beside_others() -> None:
    values = np.random.default_rng(3).normal(0.2, 0.5, 40)
    inside = np.clip(values, 0, 1)
    found = mean_intervals({"wild": values, "tame": inside}, rounds=500)
    assert found["wild"] == bootstrap_interval(values, rounds=500)
    assert found["tame"].low == pytest.approx(mean_interval(inside, rounds=500).low)


def test_of_little() -> None:
    assert mean_interval([]) == Mean(None, 0)
    assert mean_interval([np.nan, 0.5]) == Mean(0.5, 1)


@given(
    st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=0, max_size=30),
    st.integers(0, 2**32 - 1),
)
def test_it_holds_its_mean_and_stays_in_the_range(values: list[float], seed: int) -> None:
    found = mean_interval(values, rounds=50, seed=seed)
    known = [value for value in values if value == value]  # noqa: PLR0124  NaN is unequal to itself
    assert found.queries == len(known)
    if len(known) > 1:
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert -1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12
        assert found == mean_interval(known, rounds=50, seed=seed)
