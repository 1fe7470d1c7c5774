"""Grades with soft borders: as plain loops have them, continuous, exact where grades are far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rankfield.schema import ScoreScale
from rankfield.soft_grades import LEVELS, soft_grades
from rankfield.weighting import (
    discount_weights,
    grade_shares,
    pair_weights,
    soft_discount_weights,
)
from reference import soft_grades_loops

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCALE = ScoreScale(0, 100, 50)
SEEDS = st.integers(0, 10**6)


def lists(seed: int, queries: int = 4, length: int = 40) -> tuple[Ints, Floats]:
    """Lists in any order: distinct scores, ties, clusters, and scores without gain."""
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, queries, length)
    kinds = [
        rng.uniform(0, 100, length),
        rng.integers(0, 6, length) * 20.0,
        100 * rng.beta(0.2, 4, length),
        np.clip(rng.integers(0, 4, length) * 30 + rng.normal(0, 0.5, length), 0, 100),
    ]
    return owner.astype(np.int64), kinds[rng.integers(len(kinds))].astype(np.float64)


def weights(owner: Ints, scores: Floats, scale: ScoreScale = SCALE) -> Floats:
    """Weights with one good document more in a query of its own, so that not all are 0."""
    more = soft_discount_weights(np.append(owner, 99), np.append(scores, scale.maximum), scale)
    return more[:-1]


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_equals_plain_loops(seed: int) -> None:
    owner, scores = lists(seed)
    found = soft_grades(owner, scores, 100.0)
    rank, share, presence = soft_grades_loops(owner.tolist(), scores.tolist(), 0.0, 100.0)
    np.testing.assert_allclose(found.rank, rank, rtol=1e-9)
    np.testing.assert_allclose(found.share, share, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.presence, presence, rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, grades=st.integers(1, LEVELS))
def test_grades_that_are_far_apart_are_those_of_equal_scores(seed: int, grades: int) -> None:
    rng = np.random.default_rng(seed)
    owner, scores = rng.integers(0, 3, 50), rng.integers(0, grades + 1, 50).astype(float)
    scores[:3], owner[:3] = grades, np.arange(3)
    scale = ScoreScale(0, grades, 1)
    found = soft_grades(owner, scores, scale.span)
    share, rank = grade_shares(owner, scores)
    good = scores > 0
    np.testing.assert_allclose(found.rank[good], rank[good])
    np.testing.assert_allclose(found.share[good], share[good])
    assert found.presence.tolist() == good.tolist()
    np.testing.assert_allclose(
        soft_discount_weights(owner, scores, scale), discount_weights(owner, scores, scale)
    )


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([1e-9, 1e-6, 1e-4, 1e-3]))
def test_a_small_change_of_scores_changes_weights_by_little(seed: int, size: float) -> None:
    """By at most some times the number of documents, in parts of the query's width."""
    owner, scores = lists(seed)
    noise = np.random.default_rng(seed + 1).uniform(-size, size, len(scores))
    moved = np.clip(scores + noise, 0, 100)
    for query in np.unique(owner):
        mine = owner == query
        width = max(scores[mine].max(), 0.1) / LEVELS
        before, after = (weights(owner[mine], s[mine]) for s in (scores, moved))
        assert np.abs(after - before).max() <= 8 * mine.sum() * size / width


def test_noise_of_a_millionth_leaves_grades_as_they_are() -> None:
    """Before, a tail of a thousand poor documents then outweighed three good ones."""
    rng = np.random.default_rng(0)
    scores = np.repeat([3.0, 2.0, 1.0, 0.0], [3, 30, 1000, 50])
    owner, scale = np.zeros(len(scores), dtype=np.int64), ScoreScale(0, 3, 1)
    noisy = np.clip(scores + rng.uniform(-1e-6, 1e-6, len(scores)), 0, 3)
    found = soft_discount_weights(owner, noisy, scale)
    np.testing.assert_allclose(found, discount_weights(owner, scores, scale), atol=2e-4)
    assert (found[-50:] == 0).all()
    former = discount_weights(owner, noisy, scale)
    assert former[33:].sum() > 10 * former[:3].sum()
    assert found[33:].sum() < found[:3].sum()


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_equal_scores_get_equal_weights_in_any_order(seed: int) -> None:
    owner, scores = lists(seed)
    scores = scores.round(0)
    found = weights(owner, scores)
    for query in np.unique(owner):
        for score in np.unique(scores[owner == query]):
            assert len(np.unique(found[(owner == query) & (scores == score)])) == 1
    order = np.random.default_rng(seed).permutation(len(owner))
    np.testing.assert_allclose(weights(owner[order], scores[order]), found[order], rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, factor=st.sampled_from([1e-3, 0.5, 7.0, 1e4]), shift=st.integers(-5, 5))
def test_the_unit_and_the_origin_of_scores_do_not_matter(
    seed: int, factor: float, shift: int
) -> None:
    owner, scores = lists(seed)
    other = ScoreScale(shift, shift + 100 * factor, shift + factor, gain_floor=shift)
    found = weights(owner, np.minimum(scores * factor + shift, other.maximum), other)
    np.testing.assert_allclose(found, weights(owner, scores), rtol=1e-5, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_a_better_document_never_weighs_less_and_the_best_weighs_one(seed: int) -> None:
    owner, scores = lists(seed)
    found = soft_grades(owner, scores, 100.0)
    weight = weights(owner, scores)
    for query in np.unique(owner):
        mine = np.flatnonzero(owner == query)
        mine = mine[np.argsort(-scores[mine])]
        assert (np.diff(weight[mine]) <= 1e-9).all()
        assert (np.diff(found.rank[mine]) >= -1e-9).all()
        if scores[mine[0]] > 0.1:
            assert weight[mine[0]] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 60), min_size=2, max_size=5))
def test_no_width_holds_more_than_the_best_grade(seed: int, sizes: list[int]) -> None:
    """What a soft grade of many documents keeps is the mass of the best one, as for exact ties."""
    grades = np.repeat(np.arange(len(sizes), 0, -1.0), sizes)
    noise = np.random.default_rng(seed).uniform(-1e-9, 1e-9, len(grades))
    owner, scale = np.zeros(len(grades), dtype=np.int64), ScoreScale(0, len(sizes), 1)
    scores = np.clip(grades + noise, 0, len(sizes))
    share = soft_grades(owner, scores, scale.span).share
    for grade in range(1, len(sizes) + 1):
        assert share[grades == grade].sum() <= sizes[0] * (1 + 1e-6)


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_a_list_of_ranks_weighs_the_same_at_any_resolution(length: int) -> None:
    """The best fifth of evenly spaced scores shares the first places, however many they are."""
    scores = np.arange(length, 0, -1.0)
    owner, scale = np.zeros(length, dtype=np.int64), ScoreScale(0, length, 1)
    found = soft_grades(owner, scores, scale.span)
    np.testing.assert_allclose(found.share, 1.0)
    fifth = length // LEVELS
    assert found.rank[fifth] == pytest.approx(1 + (fifth + 1) / 2)
    np.testing.assert_allclose(np.diff(found.rank[fifth:]), 1.0)


def test_a_query_of_noise_alone_and_no_pairs_weigh_nothing() -> None:
    owner = np.array([0, 0, 1])
    found = soft_discount_weights(owner, np.array([1e-6, 0.0, 80.0]), SCALE)
    assert found.tolist() == [0.0, 0.0, 1.0]
    assert len(soft_discount_weights(owner[:0], np.zeros(0), SCALE)) == 0
    np.testing.assert_array_equal(
        pair_weights(owner, np.array([5.0, 1.0, 80.0]), SCALE, "soft_discount"),
        soft_discount_weights(owner, np.array([5.0, 1.0, 80.0]), SCALE),
    )
