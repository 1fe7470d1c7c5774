from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rankfield.schema import ScoreScale
from rankfield.training.order import Choice, epoch_order, query_clusters

Ints = NDArray[np.int64]


def lists(seed: int, queries: int, longest: int) -> tuple[Ints, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(queries), rng.integers(1, longest + 1, queries))
    return owner, rng.integers(0, 6, len(owner)).astype(float)


def order_of(  # noqa: PLR0917
    owner: Ints,
    scores: NDArray[np.float64],
    k: int,
    choice: Choice,
    seed: int,
    clusters: Ints | None = None,
) -> Ints:
    return epoch_order(
        owner,
        scores,
        np.exp(scores),
        documents_per_query=k,
        choice=choice,
        clusters=clusters,
        scale=ScoreScale(0, 100, 1),
        rng=np.random.default_rng(seed),
    )


def groups_in(owner: Ints, order: Ints) -> list[Ints]:
    """Cut an order where the query changes."""
    return np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    queries=st.integers(1, 12),
    longest=st.integers(1, 30),
    k=st.integers(1, 9),
    choice=st.sampled_from(["uniform", "stratified"]),
    clustered=st.booleans(),
)
def test_every_pair_once_and_few_of_a_query_together(  # noqa: PLR0917
    seed: int, queries: int, longest: int, k: int, choice: Choice, clustered: bool
) -> None:
    owner, scores = lists(seed, queries, longest)
    clusters = owner // 3 if clustered else None
    order = order_of(owner, scores, k, choice, seed, clusters)
    assert np.array_equal(np.sort(order), np.arange(len(owner)))
    assert np.array_equal(order, order_of(owner, scores, k, choice, seed, clusters))
    if queries > 1:
        # Two groups of a query may follow each other: then they look like one.
        counts = np.bincount(owner)
        assert max(len(group) for group in groups_in(owner, order)) <= counts.max()


def test_a_group_holds_one_document_of_each_stratum() -> None:
    owner = np.repeat(np.arange(50), 24)
    scores = np.tile(np.arange(24.0), 50)
    order = order_of(owner, scores, 4, "stratified", 1)
    groups = [np.sort(scores[group]) for group in groups_in(owner, order) if len(group) == 4]
    assert len(groups) > 250
    for group in groups:
        assert np.array_equal(group // 6, [0, 1, 2, 3])
    uniform = order_of(owner, scores, 4, "uniform", 1)
    mixed = [np.sort(scores[group]) // 6 for group in groups_in(owner, uniform)]
    assert any(not np.array_equal(group, [0, 1, 2, 3]) for group in mixed)


@pytest.mark.parametrize("k", [3, 6, 8])
def test_a_balanced_group_takes_of_each_grade_alike(k: int) -> None:
    """Of 2 good, 8 fair and 50 poor documents each group has a third, within one document."""
    list_scores = np.repeat([3.0, 2.0, 1.0], [2, 8, 50])
    owner = np.repeat(np.arange(30), 60)
    scores = np.tile(list_scores, 30)
    order = order_of(owner, scores, k, "balanced", 0)
    assert len(order) == len(owner)
    assert np.array_equal(order, order_of(owner, scores, k, "balanced", 0))
    assert not np.array_equal(order, order_of(owner, scores, k, "balanced", 1))
    groups_of = order.reshape(-1, k)
    assert (owner[groups_of] == owner[groups_of[:, :1]]).all()
    for grade in (1.0, 2.0, 3.0):
        counts = (scores[groups_of] == grade).sum(1)
        assert counts.min() >= k // 3 - (k % 3 > 0)
        assert counts.max() <= -(-k // 3) + (k % 3 > 0)
        assert counts.mean() == pytest.approx(k / 3, rel=0.05)
    # Within a grade all come alike.
    met = np.bincount(order, minlength=len(owner)).reshape(30, 60).sum(0)
    assert met[10:].min() > 0
    assert met[:2].mean() == pytest.approx(4 * met[2:10].mean(), rel=0.1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), queries=st.integers(1, 9), k=st.integers(1, 9))
def test_balanced_stays_within_each_query_and_takes_distinct_scores_alike(
    seed: int, queries: int, k: int
) -> None:
    owner, scores = lists(seed, queries, 30)
    order = order_of(owner, scores, k, "balanced", seed)
    assert len(order) == len(owner)
    assert order.min() >= 0
    assert order.max() < len(owner)
    alone = np.arange(40.0)
    met = order_of(np.zeros(40, dtype=np.int64), alone, 8, "balanced", seed)
    strata = np.sort(alone[met.reshape(-1, 8)], axis=1) // 5
    assert (strata == np.arange(8)).all()


def test_by_score_draws_in_proportion_to_the_weights() -> None:
    owner = np.repeat(np.arange(40), 20)
    scores = np.tile(np.arange(20.0) / 4, 40)
    counts = np.zeros(len(owner))
    epochs = 60
    for seed in range(epochs):
        order = order_of(owner, scores, 5, "score", seed)
        assert len(order) == len(owner)
        counts += np.bincount(order, minlength=len(owner))
    weights = np.exp(scores)
    expected = np.minimum(20 * weights / weights[:20].sum(), 4)  # four groups, at most once in each
    found = counts.reshape(40, 20).mean(0) / epochs
    np.testing.assert_allclose(found * expected[:20].sum() / found.sum(), expected[:20], atol=0.1)


def test_no_document_twice_in_a_group_drawn_by_score() -> None:
    # Three groups of a query hold 4 documents each, or 3 or 5 where the draw is uneven: what is
    # shorter than 6 is one group.
    owner = np.repeat(np.arange(300), 12)
    scores = np.tile(np.arange(12.0) / 12, 300)
    order = order_of(owner, scores, 4, "score", 0)
    pieces = [group for group in groups_in(owner, order) if len(group) < 6]
    assert len(pieces) > 500
    assert all(len(np.unique(group)) == len(group) for group in pieces)


def test_clusters_stand_together() -> None:
    owner = np.repeat(np.arange(40), 8)
    clusters = owner // 5
    order = order_of(owner, np.zeros(len(owner)), 4, "uniform", 0, clusters)
    blocks = clusters[order].reshape(-1, 20)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(owner[order[:20]])) == 5


@pytest.mark.parametrize(("number", "size"), [(1, 1), (7, 3), (64, 16), (65, 16), (200, 7)])
def test_query_clusters_are_small_and_hold_neighbours(number: int, size: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((number, 6)).astype(np.float32)
    clusters = query_clusters(vectors, size, np.random.default_rng(1))
    assert np.bincount(clusters).max() <= size
    assert len(np.unique(clusters)) <= 2 * -(-number // size)
    assert np.array_equal(clusters, query_clusters(vectors, size, np.random.default_rng(1)))
    if number > 4 * size:
        same = clusters[:, None] == clusters[None, :]
        distance = np.linalg.norm(vectors[:, None] - vectors[None, :], axis=-1)
        assert distance[same & ~np.eye(number, dtype=bool)].mean() < 0.9 * distance[~same].mean()
        assert not np.array_equal(clusters, query_clusters(vectors, size, np.random.default_rng(2)))


@pytest.mark.parametrize("clustered", [False, True])
def test_balanced_takes_a_list_that_fits_into_a_group_whole(clustered: bool) -> None:
    """One judgment a query, as in a log of purchases: no batch may hold copies of few pairs."""
    lengths = np.array([1, 2, 3, 8] * 30)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    scores = np.random.default_rng(0).integers(0, 3, len(owner)).astype(float)
    clusters = owner // 4 if clustered else None
    order = order_of(owner, scores, 8, "balanced", 0, clusters)
    assert np.array_equal(np.sort(order), np.arange(len(owner)))
    assert all(len(group) == lengths[owner[group[0]]] for group in groups_in(owner, order))


@pytest.mark.parametrize("k", [3, 6])
@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_soft_balanced_takes_of_each_grade_alike_under_noise_too(k: int, noise: float) -> None:
    """Of 2 good, 8 fair and 50 poor documents each group has a third, within one document."""
    grades = np.repeat([3.0, 2.0, 1.0], [2, 8, 50])
    owner = np.repeat(np.arange(30), 60)
    scores = np.tile(grades, 30) + np.random.default_rng(0).uniform(-noise, noise, 1800)
    for choice, even in (("soft_balanced", True), ("balanced", noise == 0)):
        groups_of = order_of(owner, scores, k, cast(Choice, choice), 0).reshape(-1, k)
        assert (owner[groups_of] == owner[groups_of[:, :1]]).all()
        good = (scores[groups_of] > 2.5).sum(1)
        assert (good.min() >= k // 3) == even
        assert (good.mean() == pytest.approx(k / 3, rel=0.1)) == even


@pytest.mark.parametrize("choice", ["uniform", "stratified", "balanced", "soft_balanced", "score"])
def test_a_width_far_above_every_list_costs_no_memory(choice: Choice) -> None:
    owner = np.repeat(np.arange(10**6, 10**6 + 5), 4)
    order = order_of(owner, np.tile(np.arange(4.0), 5), 10**9, choice, 0)
    assert len(order) == len(owner)
    if choice != "score":
        assert np.array_equal(np.sort(order), np.arange(len(owner)))
