from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from rankfield.errors import MetricError
from rankfield.evaluation import (
    bootstrap_interval,
    bootstrap_intervals,
    holm,
    paired_test,
    paired_tests,
)
from rankfield.metrics import Mean

Floats = npt.NDArray[np.float64]


def values_of(seed: int, queries: int) -> Floats:
    """Return figures as metrics have them: some 0, some 1, the rest between."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.5, 0.4, queries), 0, 1)


def test_the_interval_by_a_plain_loop() -> None:
    values = values_of(0, 23)
    rng = np.random.default_rng(5)
    means = []
    for _ in range(400):
        drawn = [values[i] for i in rng.integers(0, 23, 23)]
        means.append(sum(drawn) / 23)
    means.sort()

    def quantile(share: float) -> float:
        place = share * (len(means) - 1)
        below = int(place)
        value: float = means[below] + (place - below) * (means[below + 1] - means[below])
        return value

    found = bootstrap_interval(values, rounds=400, seed=5, level=0.9)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(quantile(0.05))
    assert found.high == pytest.approx(quantile(0.95))
    assert found.queries == 23


def test_the_interval_is_that_of_scipy() -> None:
    for queries in (12, 300):
        values = values_of(1, queries)
        theirs = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="percentile", rng=3
        ).confidence_interval
        ours = bootstrap_interval(values, rounds=20_000)
        # Both draw at random: their ends differ by a few hundredths of the interval's width.
        width = theirs.high - theirs.low
        assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
        assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    samples = np.random.default_rng(2).beta(0.5, 1.5, (100, 600))
    found = bootstrap_intervals({str(i): samples[:, i] for i in range(600)}, rounds=2_000)
    held = [m.low <= 0.25 <= m.high for m in found.values() if m.low is not None and m.high]
    assert len(held) == 600
    assert 0.92 <= np.mean(held) <= 0.97


def test_several_metrics_have_the_intervals_of_each_alone() -> None:
    first, second = values_of(3, 50), values_of(4, 50)
    second[::7] = np.nan
    together = bootstrap_intervals({"a": first, "b": second, "c": 1 - first}, rounds=500)
    assert list(together) == ["a", "b", "c"]
    for name, values in (("a", first), ("b", second), ("c", 1 - first)):
        alone = bootstrap_interval(values, rounds=500)
        assert together[name].queries == alone.queries
        assert together[name].value == pytest.approx(alone.value)
        assert together[name].low == pytest.approx(alone.low)
        assert together[name].high == pytest.approx(alone.high)


def test_intervals_of_little() -> None:
    assert bootstrap_interval([]) == Mean(None, 0)
    assert bootstrap_interval([np.nan, 0.5]) == Mean(0.5, 1)
    same = bootstrap_interval([0.1] * 30)
    assert same.low == pytest.approx(0.1)
    assert same.high == pytest.approx(0.1)


@given(
    st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=0, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_an_interval_holds_its_mean_and_stays_in_the_range(values: list[float], seed: int) -> None:
    found = bootstrap_interval(values, rounds=50, seed=seed)
    known = [value for value in values if value == value]  # noqa: PLR0124  NaN is unequal to itself
    assert found.queries == len(known)
    if len(known) > 1:
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert min(known) - 1e-12 <= found.low <= found.value <= found.high <= max(known) + 1e-12
        assert found == bootstrap_interval(known, rounds=50, seed=seed)


def test_the_randomisation_test_tries_every_flip_of_few_queries() -> None:
    first, second = values_of(6, 9), values_of(7, 9)
    z = second - first
    flips = [
        abs(np.mean(z * np.array(signs))) for signs in itertools.product((-1, 1), repeat=len(z))
    ]
    as_far = sum(mean >= abs(z.mean()) - 1e-12 for mean in flips)
    assert paired_test(first, second).p_randomisation == as_far / 2**9
    theirs = scipy.stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert paired_test(first, second).p_randomisation == pytest.approx(theirs.pvalue)


def test_the_randomisation_test_by_a_plain_loop() -> None:
    first, second = values_of(8, 40), values_of(9, 40)
    z = second - first
    drawn = np.random.default_rng(4).integers(0, 256, (300, 5), dtype=np.uint8)
    as_far = 0
    for row in drawn:
        bits = "".join(f"{byte:08b}" for byte in row)
        mean = sum(d if bit == "1" else -d for d, bit in zip(z, bits, strict=True)) / 40
        as_far += abs(mean) >= abs(z.mean()) - 1e-12
    found = paired_test(first, second, rounds=300, seed=4)
    assert found.p_randomisation == (as_far + 1) / 301


def test_the_bootstrap_test_by_a_plain_loop() -> None:
    first, second = values_of(10, 25), values_of(11, 25) + 0.15
    z = second - first

    def t(values: Floats) -> float:
        return float(values.mean() / (values.std(ddof=1) / np.sqrt(len(values))))

    rng = np.random.default_rng(6)
    shifted = z - z.mean()
    as_far = 0
    for _ in range(300):
        as_far += abs(t(shifted[rng.integers(0, 25, 25)])) >= abs(t(z))
    found = paired_test(first, second, rounds=300, seed=6)
    assert found.p_bootstrap == (as_far + 1) / 301
    rng, far = np.random.default_rng(6), []
    for _ in range(300):
        far.append(abs(t(shifted[rng.integers(0, 25, 25)])))
    half = np.quantile(far, 0.95, method="higher") * z.std(ddof=1) / 5
    assert found.difference.low == pytest.approx(z.mean() - half)
    assert found.difference.high == pytest.approx(z.mean() + half)


def test_the_interval_of_a_difference_never_claims_more_than_was_seen() -> None:
    # One win among 20 ties: nearly a third of the resamples hold ties alone.
    one = paired_test(np.zeros(20), np.array([0.5] + [0.0] * 19)).difference
    assert one.low is not None
    assert one.high is not None
    assert one.low < -0.05
    assert one.high > 0.1
    # The same gain everywhere says little of the next query.
    same = paired_test(np.zeros(8), np.full(8, 0.1)).difference
    assert same.low is not None
    assert same.low < 0
    # Values without known ends: there is no interval to give.
    wide = paired_test(np.zeros(20), np.array([5.0] + [0.0] * 19)).difference
    assert (wide.value, wide.low, wide.high) == (0.25, None, None)


def test_the_interval_of_a_difference_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20)
    for ties in (0.0, 0.5, 0.8):
        z = np.where(rng.random((20, 300)) < ties, 0.0, rng.normal(0.05, 0.2, (20, 300)))
        tests = paired_tests(
            {str(i): np.zeros(20) for i in range(300)},
            {str(i): z[:, i] for i in range(300)},
            rounds=1_000,
        )
        mean = 0.05 * (1 - ties)
        held = [
            t.difference.low <= mean <= t.difference.high
            for t in tests.values()
            if t.difference.low is not None and t.difference.high is not None
        ]
        assert np.mean(held) >= 0.92


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.06, 0.1])
def test_both_p_values_agree_with_scipy(shift: float) -> None:
    rng = np.random.default_rng(12)
    first = rng.normal(0.5, 0.2, 80)
    second = first + rng.normal(shift, 0.25, 80)
    found = paired_test(first, second)
    permuted = scipy.stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=10_000,
        vectorized=True,
        rng=1,
    )
    assert found.p_randomisation == pytest.approx(permuted.pvalue, abs=0.015)
    student = scipy.stats.ttest_rel(first, second)
    assert found.p_bootstrap == pytest.approx(student.pvalue, abs=0.03)


def test_p_values_are_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(13)
    # Skewed figures: the two runs differ by noise alone.
    first, second = rng.beta(0.5, 1.5, (2, 60, 500))
    tests = paired_tests(
        {str(i): first[:, i] for i in range(500)},
        {str(i): second[:, i] for i in range(500)},
        rounds=2_000,
    )
    for p in (
        [test.p_randomisation for test in tests.values()],
        [test.p_bootstrap for test in tests.values()],
    ):
        assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
        assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_a_real_difference_is_found() -> None:
    first = values_of(14, 400)
    second = first + np.random.default_rng(15).normal(0.03, 0.1, 400)
    found = paired_test(first, second)
    assert found.p_randomisation < 0.001
    assert found.p_bootstrap < 0.001
    assert found.difference.low is not None
    assert found.difference.low > 0


def test_undefined_queries_are_left_out_and_counted() -> None:
    first = np.array([0.1, np.nan, 0.5, 0.4, np.nan, 0.7])
    second = np.array([0.2, 0.3, np.nan, 0.3, np.nan, 0.7 + 1e-12])
    found = paired_test(first, second)
    assert (found.queries, found.better, found.worse, found.equal) == (3, 1, 1, 1)
    assert found.difference.value == pytest.approx(0.0, abs=1e-9)


def test_pairs_without_any_difference_or_query() -> None:
    same = paired_test(values_of(16, 30), values_of(16, 30))
    assert (same.p_randomisation, same.p_bootstrap, same.equal) == (1.0, 1.0, 30)
    # That 30 queries are equal does not mean that the next one is.
    assert (same.difference.value, same.difference.queries) == (0.0, 30)
    assert same.difference.high == pytest.approx(1 - 0.025 ** (1 / 30), abs=0.02)
    assert same.difference.low == pytest.approx(-(same.difference.high or 0.0))
    nothing = paired_test([np.nan], [0.5])
    assert (nothing.p_randomisation, nothing.p_bootstrap) == (1.0, 1.0)
    assert nothing.difference == Mean(None, 0)
    # Always the same gain: no resample is as far from chance as that.
    always = paired_test(np.zeros(30), np.full(30, 0.1), rounds=100)
    assert always.p_randomisation == pytest.approx(1 / 101)
    assert always.p_bootstrap == pytest.approx(1 / 101)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_test_does_not_mind_which_run_is_first(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    there, back = paired_test(first, second, rounds=60), paired_test(second, first, rounds=60)
    assert there.p_randomisation == back.p_randomisation
    assert there.p_bootstrap == back.p_bootstrap
    assert (there.better, there.worse, there.equal) == (back.worse, back.better, back.equal)
    assert there.difference.value == pytest.approx(-(back.difference.value or 0.0))
    if there.difference.low is not None and back.difference.high is not None:
        assert there.difference.low == pytest.approx(-back.difference.high, abs=1e-12)
    assert 0 < there.p_randomisation <= 1
    assert 0 < there.p_bootstrap <= 1


def test_holm_by_hand() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    np.testing.assert_allclose(holm([0.03, 0.01, 0.05, 0.02, 0.04]), [0.09, 0.05, 0.09, 0.08, 0.09])
    assert holm([]).tolist() == []
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_as_it_is_defined(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    expected: dict[float, float] = {}
    largest = 0.0
    for place, p in enumerate(sorted(p_values)):
        largest = max(largest, (len(p_values) - place) * p)
        expected.setdefault(p, min(1.0, largest))
    np.testing.assert_allclose(adjusted, [expected[p] for p in p_values])
    assert (adjusted >= p_values).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([0.1, 0.2], rounds=0), "at least 1 round"),
        (lambda: bootstrap_interval([0.1, 0.2], level=1.0), "a level between 0 and 1"),
        (lambda: bootstrap_interval([0.1, np.inf]), "finite values"),
        (lambda: bootstrap_interval([[0.1, 0.2]]), "one value for each query"),
        (lambda: paired_test([0.1, 0.2], [0.1]), "values of the same queries"),
        (lambda: holm([0.5, 1.5]), "p-values in"),
        (lambda: holm([float("nan")]), "p-values in"),
    ],
)
def test_refuses(call: object, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        call()  # type: ignore[operator]
