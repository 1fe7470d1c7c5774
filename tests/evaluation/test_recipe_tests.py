"""Tests of recipes by several runs of each, and the tails of p-values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from rankfield.evaluation import holm, paired_test, paired_tests
from rankfield.evaluation.student import student_p

Floats = npt.NDArray[np.float64]


@pytest.mark.parametrize("degrees", [1.0, 2.0, 2.7, 9.0, 133.4, 5e4])
@pytest.mark.parametrize("t", [0.0, 1e-4, 0.7, -2.0, 4.5, 30.0])
def test_students_p_is_scipys(t: float, degrees: float) -> None:
    expected = 2 * scipy.stats.t.sf(abs(t), degrees)
    assert student_p(t, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("shift", [0.05, 0.2, 0.4])
def test_up_to_18_queries_every_flip_is_tried(shift: float) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(shift, 0.2, 16)
    theirs = scipy.stats.permutation_test(
        (z,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert paired_test(np.zeros(16), z).p_randomisation == pytest.approx(theirs.pvalue)


def test_the_tail_of_many_queries_is_the_exact_one() -> None:
    """24 queries: the share of all 2^24 flips, by the distribution of sums of whole numbers."""
    rng = np.random.default_rng(1)
    for shift in (2, 4, 9):
        steps = rng.integers(-3, 8, 24) + shift
        ways = np.array([1.0])
        for step in np.abs(steps):
            ways = np.pad(ways, (0, 2 * step)) + np.pad(ways, (2 * step, 0))
        sums = np.arange(len(ways)) - np.abs(steps).sum()
        exact = ways[np.abs(sums) >= abs(steps.sum())].sum() / 2**24
        found = paired_test(np.zeros(24), steps / 20).p_randomisation
        assert exact < 1e-3
        assert found == pytest.approx(exact, rel=0.15)


def test_the_tail_of_wins_and_losses_is_binomial() -> None:
    for wins, losses in ((40, 10), (90, 30), (300, 150)):
        z = np.array([0.5] * wins + [-0.5] * losses + [0.0] * 40)
        expected = scipy.stats.binomtest(wins, wins + losses).pvalue
        assert paired_test(np.zeros(len(z)), z).p_randomisation == pytest.approx(expected, rel=0.15)
    always = paired_test(np.zeros(60), np.full(60, 0.25)).p_randomisation
    assert always == pytest.approx(2 / 2**60)


def test_a_clear_difference_stays_one_among_many_comparisons() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(0.1, 0.2, 200)
    p = paired_test(np.zeros(200), z).p_randomisation
    assert 0 < p < 1e-6
    assert np.log10(p) == pytest.approx(np.log10(scipy.stats.ttest_1samp(z, 0).pvalue), abs=0.7)
    assert holm([p, *np.linspace(0.1, 1, 527)])[0] < 0.001


def test_the_same_seed_gives_the_same_tail() -> None:
    z = np.random.default_rng(3).normal(0.1, 0.2, 300)
    first, again = (paired_test(np.zeros(300), z, seed=5) for _ in range(2))
    assert first == again
    assert paired_test(z, np.zeros(300), seed=5).p_randomisation == first.p_randomisation


def _recipes(
    rng: np.random.Generator, runs: int, queries: int, between_seeds: float
) -> tuple[Floats, Floats]:
    """Return two recipes that are the same but for seeds and noise, (runs, queries) each."""
    base = rng.beta(1, 1.5, queries)
    noise = rng.normal(0, between_seeds, (2, runs, 1)) + rng.normal(0, 0.1, (2, runs, queries))
    return base + noise[0], base + noise[1]


def test_equal_recipes_differ_as_seldom_as_they_say() -> None:
    rng = np.random.default_rng(4)
    pairs = [_recipes(rng, 3, 80, 0.03) for _ in range(200)]
    tests = paired_tests(
        {str(i): first for i, (first, _) in enumerate(pairs)},
        {str(i): second for i, (_, second) in enumerate(pairs)},
        rounds=500,
    ).values()
    assert np.mean([test.p_seeds is not None and test.p_seeds < 0.05 for test in tests]) <= 0.09
    ends = [(test.difference.low, test.difference.high) for test in tests]
    held = [low <= 0 <= high for low, high in ends if low is not None and high is not None]
    assert np.mean(held) >= 0.91
    # Over the queries alone, these runs nearly always differ, and so the recipes seem to.
    assert np.mean([test.p_randomisation < 0.05 for test in tests]) > 0.3


def test_recipes_by_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    first, second = _recipes(rng, 3, 30, 0.02)
    second = second[:2] + 0.02
    found = paired_test(first, second, rounds=400, seed=7)

    def variance(one: Floats, two: Floats) -> float:
        z = two.mean(0) - one.mean(0)
        runs = sum(side.mean(1).var(ddof=1) / len(side) for side in (one, two))
        return float(runs + z.var(ddof=1) / z.size)

    d = float(second.mean() - first.mean())
    assert found.difference.value == pytest.approx(d)
    drawn, runs = np.random.default_rng(7), np.random.default_rng([7, 1])
    rows = [drawn.integers(0, 30, 30) for _ in range(400)]
    one, two = runs.integers(0, 3, (400, 3)), runs.integers(0, 2, (400, 2))
    z = second.mean(0) - first.mean(0)
    far = []
    for row, a, b in zip(rows, one, two, strict=True):
        means = first[:, row].mean(1)[a], second[:, row].mean(1)[b]
        spread = sum(m.var(ddof=1) / len(m) for m in means) + z[row].var() / 29
        far.append(abs(means[1].mean() - means[0].mean() - d) / np.sqrt(spread))
    t = abs(d) / np.sqrt(variance(first, second))
    assert found.p_seeds == pytest.approx((np.sum(far >= t) + 1) / 401)
    half = np.quantile(far, 0.95, method="higher") * np.sqrt(variance(first, second))
    assert found.difference.high == pytest.approx(d + half)


def test_a_large_gain_of_few_seeds_has_no_floor() -> None:
    rng = np.random.default_rng(6)
    first, second = _recipes(rng, 5, 400, 0.005)
    found = paired_test(first, second + 0.2)
    assert found.p_seeds is not None
    assert 0 < found.p_seeds < 1e-6


def test_recipes_are_no_clearer_than_their_models() -> None:
    rng = np.random.default_rng(8)
    first, second = _recipes(rng, 3, 6, 0.001)
    found = paired_test(first, second + 0.5)
    assert found.p_randomisation == 2 / 2**6  # all six gain: 2 of 64 flips are as far
    assert found.p_seeds == found.p_randomisation


def test_two_single_runs_say_nothing_of_recipes() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.random((2, 30))
    assert paired_test(first, second).p_seeds is None
    assert paired_test(first[None], second[None]) == paired_test(first, second)
    assert paired_test(first, np.stack([second, second + 0.01])).p_seeds is not None
    # Seeds that agree on everything, and differ from the other: no variance at all.
    same = paired_test(np.zeros((2, 30)), np.full((2, 30), 0.5), rounds=99)
    assert same.p_seeds == pytest.approx(0.01)
