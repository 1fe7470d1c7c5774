"""The click model against plain loops, against a general optimiser, and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from rankfield.errors import InputError
from rankfield.labels import ClickCounts, fit_position_model, relevance_given
from rankfield.labels.click_model import _EmStep
from rankfield.labels.intervention_pairs import fit_all_pairs, intervention_counts
from rankfield.labels.propensities import (
    estimate_propensities,
    given_propensities,
    linked_positions,
)
from reference_labels import em_step, log_likelihood


def drawn(
    pairs: int = 40, positions: int = 4, impressions: int = 400, seed: int = 0
) -> tuple[ClickCounts, np.ndarray]:
    """Counts of pairs shown at all positions, by a known θ."""
    rng = np.random.default_rng(seed)
    theta = 1 / np.arange(1, positions + 1)
    alpha = rng.uniform(0.2, 0.8, pairs)
    pair = np.repeat(np.arange(pairs), positions)
    place = np.tile(np.arange(1, positions + 1), pairs)
    n = rng.integers(impressions // 2, impressions, pair.size)
    c = rng.binomial(n, theta[place - 1] * alpha[pair])
    return ClickCounts(pair, place, n.astype(float), c.astype(float)), theta


def test_a_step_is_that_of_plain_loops() -> None:
    counts, _ = drawn(pairs=6, positions=3, impressions=30)
    step = _EmStep(counts)
    state = step.start(None)
    cells = list(
        zip(
            counts.pair.tolist(),
            counts.position.tolist(),
            counts.impressions.tolist(),
            counts.clicks.tolist(),
            strict=True,
        )
    )
    for _ in range(5):
        theta = {k + 1: float(state[k]) for k in range(3)}
        alpha = {p: float(state[3 + p]) for p in range(6)}
        assert step.log_likelihood(state) == pytest.approx(log_likelihood(cells, theta, alpha))
        state = step(state)
        new_theta, new_alpha = em_step(cells, theta, alpha)
        np.testing.assert_allclose(state[:3], [new_theta[k] for k in (1, 2, 3)], rtol=1e-12)
        np.testing.assert_allclose(state[3:], [new_alpha[p] for p in range(6)], rtol=1e-12)


def test_the_fit_is_the_maximum_that_a_general_optimiser_finds() -> None:
    counts, _ = drawn(pairs=5, positions=3, impressions=200, seed=3)
    model = fit_position_model(counts, tolerance=1e-9, max_iterations=30_000)
    k, p = counts.position - 1, counts.pair

    def loss(x: np.ndarray) -> float:
        # θ₁ = 1; everything by log odds
        theta = np.concatenate([[1.0], 1 / (1 + np.exp(-x[:2]))])
        q = theta[k] / (1 + np.exp(-x[2:][p]))
        skips = counts.impressions - counts.clicks
        return -float((counts.clicks * np.log(q) + skips * np.log1p(-q)).sum())

    best = minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-6, "maxiter": 5000})
    assert model.log_likelihoods[-1] == pytest.approx(-best.fun, abs=1e-4)
    np.testing.assert_allclose(model.propensities[1:], 1 / (1 + np.exp(-best.x[:2])), rtol=2e-3)
    np.testing.assert_allclose(model.relevance, 1 / (1 + np.exp(-best.x[2:])), rtol=2e-3)


@pytest.mark.parametrize("fit", [fit_position_model, fit_all_pairs])
def test_known_propensities_come_back(fit: object) -> None:
    counts, theta = drawn(pairs=300, impressions=1000)
    model = fit(counts)  # type: ignore[operator]
    assert model.converged
    np.testing.assert_allclose(model.propensities, theta, rtol=0.03)


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 5), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_the_likelihood_never_falls(seed: int, pairs: int, positions: int, n: int) -> None:
    counts, _ = drawn(pairs, positions, n, seed)
    model = fit_position_model(counts, max_iterations=90)
    assert (np.diff(model.log_likelihoods) >= 0).all()
    assert np.nanmax(model.propensities) == 1
    assert ((model.relevance >= 0) & (model.relevance <= 1)).all()
    again = fit_position_model(counts, max_iterations=90)
    np.testing.assert_array_equal(model.propensities, again.propensities)


@given(st.integers(0, 10_000), st.floats(0, 20), st.floats(0.01, 0.99))
@example(seed=33, s=0.5, m=0.5)  # starts beside 1, where Newton's steps are short
@settings(max_examples=60, deadline=None)
def test_relevance_given_is_the_maximum_on_a_line(seed: int, s: float, m: float) -> None:
    counts, theta = drawn(pairs=3, positions=3, impressions=12, seed=seed)
    cells = theta[counts.position - 1]
    found = relevance_given(
        cells, counts.impressions, counts.clicks, counts.starts,
        prior_clicks=np.full(3, s * m), prior_skips=np.full(3, s * (1 - m)),
    )  # fmt: skip
    for pair in range(3):
        own = counts.pair == pair
        c, n, t = counts.clicks[own], counts.impressions[own], cells[own]

        def loss(a: float, c: np.ndarray = c, n: np.ndarray = n, t: np.ndarray = t) -> float:
            fits = (c.sum() + s * m) * np.log(a) + s * (1 - m) * np.log1p(-a)
            return -float(fits + ((n - c) * np.log1p(-t * a)).sum())

        if c.sum() + s * m == 0:
            assert found[pair] == 0
            continue
        best = minimize_scalar(loss, bounds=(1e-12, 1 - 1e-9), method="bounded")
        inside = float(np.clip(found[pair], 1e-12, 1 - 1e-9))
        assert loss(inside) <= best.fun + 1e-6 * (1 + abs(best.fun))


def test_swaps_weigh_both_sides_alike() -> None:
    counts = ClickCounts(
        pair=np.array([0, 0, 0, 1, 2]),
        position=np.array([1, 2, 4, 1, 3]),
        impressions=np.array([10.0, 4.0, 2.0, 50.0, 50.0]),
        clicks=np.array([5.0, 1.0, 1.0, 50.0, 0.0]),
    )
    swaps, weight = intervention_counts(counts)
    assert weight.tolist() == [4, 2, 2]
    assert swaps.position.tolist() == [1, 2, 1, 4, 2, 4]
    assert swaps.impressions.tolist() == [4, 4, 2, 2, 2, 2]
    assert swaps.clicks.tolist() == [2, 1, 1, 1, 0.5, 1]


def test_no_swap_is_said() -> None:
    alone = ClickCounts(np.arange(2), np.array([1, 2]), np.ones(2), np.ones(2))
    with pytest.raises(InputError, match="no document was shown at two positions"):
        intervention_counts(alone)


def test_positions_that_nothing_links_are_marked_and_drawn_from_the_others() -> None:
    counts, _ = drawn(pairs=200, positions=3, impressions=500)
    far = ClickCounts(
        pair=np.concatenate([counts.pair, np.repeat(np.arange(200, 203), 2)]),
        position=np.concatenate([counts.position, np.tile([7, 8], 3)]),
        impressions=np.concatenate([counts.impressions, np.full(6, 30.0)]),
        clicks=np.concatenate([counts.clicks, np.full(6, 10.0)]),
    )
    assert linked_positions(far).tolist() == [True] * 3 + [False] * 5
    for method in ("em", "interventions"):
        found = estimate_propensities(far, 9, method)
        assert found.estimated.tolist() == [True] * 3 + [False] * 6
        np.testing.assert_allclose(found.values, 1 / np.arange(1, 10), rtol=0.1)
        assert "positions 4–9 cannot be identified" in found.warnings[0]


def test_without_any_link_nothing_is_corrected_and_it_says_so() -> None:
    none = ClickCounts(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0))
    found = estimate_propensities(none, 5)
    assert found.values.tolist() == [1] * 5
    assert not found.estimated.any()
    assert "cannot be identified" in found.warnings[0]


def test_given_propensities_are_scaled_and_must_be_whole() -> None:
    assert given_propensities({1: 4, 2: 2}, 2).values.tolist() == [1, 0.5]
    with pytest.raises(InputError, match="position 3, found None"):
        given_propensities({1: 4, 2: 2}, 3)
    with pytest.raises(InputError, match="above 0 for position 2"):
        given_propensities({1: 4, 2: 0}, 2)


@pytest.mark.parametrize(
    ("pair", "position", "n", "c"),
    [([0, 2], [1, 1], [1, 1], [0, 0]), ([0, 0], [0, 1], [1, 1], [0, 0]),
     ([0, 1], [1, 1], [1, 1], [2, 0]), ([0, 1], [1, 1], [0, 1], [0, 0])],
)  # fmt: skip
def test_impossible_counts(
    pair: list[int], position: list[int], n: list[int], c: list[int]
) -> None:
    with pytest.raises(InputError, match="expected"):
        ClickCounts(np.array(pair), np.array(position), np.array(n, float), np.array(c, float))


def sparse(per_pair: int) -> tuple[ClickCounts, np.ndarray]:
    """Many pairs, few impressions of each, the better ones higher up."""
    rng = np.random.default_rng(0)
    theta, pairs = 1 / np.arange(1, 7), 300_000 // per_pair
    alpha = rng.beta(1, 2, pairs)
    pair = np.repeat(np.arange(pairs), per_pair)
    best = 1 + 4 * (1 - alpha) + rng.normal(0, 1, pairs)
    place = np.clip(np.round(best[pair] + rng.normal(0, 1, pair.size)), 1, 6).astype(np.int64)
    click = rng.random(pair.size) < theta[place - 1] * alpha[pair]
    n = np.bincount(pair * 6 + place - 1, minlength=pairs * 6).reshape(pairs, 6)
    c = np.bincount(pair * 6 + place - 1, click, minlength=pairs * 6).reshape(pairs, 6)
    several = (n > 0).sum(1) >= 2
    p, k = np.nonzero(n[several])
    counts = ClickCounts(p, k + 1, n[several][p, k].astype(float), c[several][p, k])
    return counts, theta


@pytest.mark.parametrize("per_pair", [2, 4, 30])
def test_few_impressions_of_each_pair_do_not_bend_the_propensities(per_pair: int) -> None:
    counts, theta = sparse(per_pair)
    found = estimate_propensities(counts, 6, "em")
    assert found.method == ("em" if per_pair == 30 else "interventions")
    # EM over all pairs is out by 2.5 times at 2 impressions each
    np.testing.assert_allclose(found.values, theta, rtol=0.15)
