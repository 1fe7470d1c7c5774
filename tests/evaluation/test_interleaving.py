"""Interleaving: fair lists; the better model is found with fewer queries than by an A/B test."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from rankfield.errors import MetricError
from rankfield.evaluation.interleaving import (
    Interleaved,
    click_credits,
    preference,
    team_draft,
)

LISTS = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(
    lists=st.lists(LISTS, min_size=2, max_size=4), k=st.integers(1, 12), seed=st.integers(0, 2**31)
)
def test_each_ranking_gives_its_best_left_and_as_many_as_the_others(
    lists: list[list[str]], k: int, seed: int
) -> None:
    rankings = {f"team {i}": ids for i, ids in enumerate(lists)}
    found = team_draft(rankings, k, np.random.default_rng(seed))
    everything = set().union(*lists)
    assert len(found.doc_ids) == len(set(found.doc_ids)) == min(k, len(everything))
    taken: set[str] = set()
    counts = Counter[str]()
    for doc_id, team in zip(found.doc_ids, found.teams, strict=True):
        left = [one for one in rankings[team] if one not in taken]
        assert left[0] == doc_id
        taken.add(doc_id)
        counts[team] += 1
        # A ranking is behind another one only if it has nothing left.
        for other, ids in rankings.items():
            if set(ids) - taken:
                assert counts[team] <= counts[other] + 1


def test_who_begins_is_drawn_and_the_same_seed_gives_the_same_list() -> None:
    rankings = {"a": ["1", "2", "3"], "b": ["4", "5", "6"]}
    rng = np.random.default_rng(0)
    begins = Counter(team_draft(rankings, 3, rng).teams[0] for _ in range(1000))
    assert 430 < begins["a"] < 570
    lists = [team_draft(rankings, 6, np.random.default_rng(7)) for _ in range(2)]
    assert lists[0] == lists[1]


def test_bad_input() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(MetricError, match="found 1 and 3"):
        team_draft({"a": ["1"]}, 3, rng)
    with pytest.raises(MetricError, match="found 2 and 0"):
        team_draft({"a": ["1"], "b": []}, 0, rng)
    credits = pl.DataFrame({"unit": ["u"], "team": ["a"], "clicks": [1]})
    with pytest.raises(MetricError, match="no list shows a document of 'b', only of a"):
        preference(credits, "a", "b")


def test_credits_and_preference_by_hand() -> None:
    shown = pl.DataFrame(
        [
            ("q1", "v1", "d1", "a"), ("q1", "v1", "d2", "b"), ("q1", "v1", "d3", "b"),
            ("q2", "v1", "d1", "b"), ("q2", "v1", "d4", "a"),
            ("q3", "v2", "d5", "a"), ("q3", "v2", "d6", "b"),
        ],
        schema=["query_id", "client_id", "doc_id", "team"], orient="row",
    )  # fmt: skip
    clicks = pl.DataFrame(
        [("q1", "d2"), ("q1", "d2"), ("q1", "d3"), ("q1", "d9"), ("q2", "d4"), ("q9", "d1")],
        schema=["query_id", "doc_id"], orient="row",
    )  # fmt: skip
    lists = click_credits(shown, clicks, unit="query_id")
    assert dict(lists.select(pl.concat_str("unit", "team"), "clicks").rows()) == {
        "q1a": 0, "q1b": 2, "q2a": 1, "q2b": 0, "q3a": 0, "q3b": 0,
    }  # fmt: skip
    found = preference(lists, "a", "b")
    assert (found.first, found.second, found.ties, found.share) == (1, 1, 1, 0.5)
    assert found.p_value == 1
    visitors = preference(click_credits(shown, clicks, unit="client_id"), "a", "b")
    assert (visitors.first, visitors.second, visitors.ties) == (0, 1, 1)  # 1 and 2 clicks; none
    expected = binomtest(1, 1).proportion_ci(method="exact")
    assert (visitors.low, visitors.high) == (expected.low, expected.high)
    none = preference(click_credits(shown, clicks.head(0), unit="query_id"), "a", "b")
    assert (none.share, none.low, none.high, none.p_value) == (0.5, 0, 1, 1)


def clicked(
    ids: tuple[str, ...], relevance: dict[str, float], patience: float, rng: np.random.Generator
) -> list[str]:
    """Return what a visitor clicks who reads from the top and stops at some time."""
    found = []
    for doc_id in ids:
        if rng.random() < relevance[doc_id]:
            found.append(doc_id)
        if rng.random() > patience:
            break
    return found


def world(rng: np.random.Generator, noise: float) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Return relevance of a query's documents, and two rankings, of which the second is better."""
    ids = [f"d{i}" for i in range(20)]
    true: npt.NDArray[np.float64] = rng.beta(0.5, 2.0, len(ids))

    def ranked(spread: float) -> list[str]:
        seen = true + rng.normal(size=len(ids)) * spread
        return [ids[i] for i in np.argsort(-seen)]

    relevance = dict(zip(ids, true, strict=True))
    return relevance, {"old": ranked(noise), "new": ranked(noise * 0.6)}


def p_values(queries: int, noise: float, seed: int) -> tuple[float, float, bool]:
    """Return p of interleaving and of an A/B test on as many queries, and who won the first."""
    rng = np.random.default_rng(seed)
    lists: list[tuple[str, Interleaved]] = []
    clicks: list[tuple[str, str]] = []
    arms = {"old": [0, 0], "new": [0, 0]}
    for number in range(queries):
        relevance, rankings = world(rng, noise)
        patience = rng.beta(3, 1.5)  # visitors differ
        shown = team_draft(rankings, 10, rng)
        lists.append((f"q{number}", shown))
        clicks += [(f"q{number}", d) for d in clicked(shown.doc_ids, relevance, patience, rng)]
        arm = "new" if rng.random() < 0.5 else "old"
        any_click = bool(clicked(tuple(rankings[arm][:10]), relevance, patience, rng))
        arms[arm][int(any_click)] += 1
    frame = pl.DataFrame(
        [(q, d, t) for q, s in lists for d, t in zip(s.doc_ids, s.teams, strict=True)],
        schema=["query_id", "doc_id", "team"], orient="row",
    )  # fmt: skip
    asked = pl.DataFrame(clicks, schema=["query_id", "doc_id"], orient="row")
    found = preference(click_credits(frame, asked, unit="query_id"), "old", "new")
    between = fisher_exact([arms["old"], arms["new"]]).pvalue
    return found.p_value, float(between), found.share > 0.5


def test_interleaving_finds_the_better_model_where_an_ab_test_does_not() -> None:
    runs = [p_values(400, 0.5, seed) for seed in range(20)]
    interleaved = sum(p < 0.05 and won for p, _, won in runs)
    between = sum(p < 0.05 for _, p, _ in runs)
    assert interleaved >= 15
    assert between <= 10
    assert interleaved >= between + 8


def test_equal_models_are_told_apart_as_rarely_as_the_level_says() -> None:
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        names, clicks = [], []
        for number in range(60):
            shown = team_draft({"a": ["1", "2", "3"], "b": ["2", "4", "1"]}, 4, rng)
            names += [(f"q{number}", d, t) for d, t in zip(shown.doc_ids, shown.teams, strict=True)]
            clicks += [(f"q{number}", d) for d in shown.doc_ids if rng.random() < 0.3]
        frame = pl.DataFrame(names, schema=["query_id", "doc_id", "team"], orient="row")
        asked = pl.DataFrame(clicks, schema=["query_id", "doc_id"], orient="row")
        found = preference(click_credits(frame, asked, unit="query_id"), "a", "b")
        wrong += found.p_value < 0.05
    assert wrong <= 20  # 10 expected at the most
