"""Float scores against the plain loops of `reference_metrics`, and what must always hold."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_metrics as reference
from rankfield.errors import MetricError
from rankfield.metrics import (
    STANDARD_METRICS,
    GainMap,
    JudgedRankings,
    Mean,
    Metric,
    err,
    mean_of_defined,
    measure,
    ndcg,
    rbp,
    standard_metrics,
    summarise,
)
from rankfield.schema import ScoreScale
from reference_metrics import judged_rankings

DOCUMENTS = [f"d{number}" for number in range(12)]
SCALES = [
    ScoreScale(0, 1, 0.5),
    ScoreScale(0, 3, 2),
    ScoreScale(1, 100, 50),
    ScoreScale(-1, 1, 0),
    ScoreScale(-5, -1, -2),
    ScoreScale(-2, 3, 1, gain_floor=0),
    ScoreScale(0, 7.5, 4),
]

FAMILIES = [
    *(name.split("@")[0] for name in STANDARD_METRICS),
    "nDCG(gain=exp, max=10)",
    "ERR(max=100)",
    "RBP(p=0.5)",
    "RR(rel=2)",
    "P(rel=0.25)",
    "Success",
    "Success(rel=2)",
    "Bpref",
    "infAP",
    "infAP(rel=2)",
    *(
        f"{family}(condensed=true)"
        for family in ("nDCG", "ERR", "RBP", "RR", "mAP", "R", "P", "bpref", "infAP")
    ),
    "nDCG(gain=exp, condensed=true)",
]

Query = tuple[list[str], dict[str, float]]


@st.composite
def a_query(draw: st.DrawFn, scale: ScoreScale) -> Query:
    ranked = draw(st.lists(st.sampled_from(DOCUMENTS), unique=True))
    scores = st.floats(scale.minimum, scale.maximum, allow_subnormal=False)
    return ranked, draw(st.dictionaries(st.sampled_from(DOCUMENTS), scores))


queries_on_scales = st.sampled_from(SCALES).flatmap(
    lambda scale: st.tuples(st.just(scale), st.lists(a_query(scale), min_size=1, max_size=4))
)


def of(queries: list[Query]) -> JudgedRankings:
    return judged_rankings([ranked for ranked, _ in queries], [judged for _, judged in queries])


def floor_of(scale: ScoreScale) -> float:
    return min(0.0, scale.minimum) if scale.gain_floor is None else scale.gain_floor


def expected(name: str, query: Query, scale: ScoreScale) -> float:
    ranked, judged = query
    metric = Metric.parse(name)
    parameters = dict(metric.parameters)
    if metric.condensed:
        ranked = [document for document in ranked if document in judged]
    k = metric.cutoff or len(DOCUMENTS)
    top, persistence = float(parameters.get("max", 4)), float(parameters.get("p", 0.9))
    threshold = float(parameters.get("rel", scale.relevant))
    floor = floor_of(scale)
    span = scale.maximum - floor
    linear = {d: max(s - floor, 0.0) for d, s in judged.items()}
    grades = {d: reference.grade(s, floor, scale.maximum, top) for d, s in judged.items()}
    exponential = {d: 2**g - 1 for d, g in grades.items()}
    fractions = {d: g / span for d, g in linear.items()}
    relevant = sum(s >= threshold for s in judged.values())
    found = reference.hits(ranked, judged, k, threshold)
    return {
        "nDCG": reference.ndcg(
            ranked, judged, k, exponential if parameters.get("gain") == "exp" else linear
        ),
        "ERR": reference.err(ranked, grades, k, top if "max" in parameters else min(span, top)),
        "RBP": reference.rbp(ranked, fractions, k, persistence),
        "RR": reference.reciprocal_rank(ranked, judged, k, threshold),
        "mAP": reference.average_precision(ranked, judged, k, threshold),
        "R": found / relevant if relevant else float("nan"),
        "P": found / k,
        "Success": float(found > 0),
        "Bpref": reference.bpref(ranked, judged, k, threshold, floor),
        "infAP": reference.inferred_average_precision(ranked, judged, k, threshold, floor),
        "Judged": sum(d in judged for d in ranked[:k]) / max(min(len(ranked), k), 1),
    }[metric.family]


@given(queries_on_scales, st.sampled_from([1, 2, 3, 10, 1000]))
def test_equals_plain_loops(given_queries: tuple[ScoreScale, list[Query]], k: int) -> None:
    scale, queries = given_queries
    rankings = of(queries)
    names = [f"{family}@{k}" for family in FAMILIES]
    for name, values in standard_metrics(rankings, scale, names).items():
        wanted = [expected(name, query, scale) for query in queries]
        np.testing.assert_allclose(values, wanted, rtol=1e-9, atol=1e-12, err_msg=name)


@given(queries_on_scales)
def test_bounds(given_queries: tuple[ScoreScale, list[Query]]) -> None:
    scale, queries = given_queries
    for name, values in standard_metrics(of(queries), scale).items():
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1 + 1e-12)).all(), name


@settings(max_examples=50)
@given(queries_on_scales, st.randoms(use_true_random=False))
def test_queries_do_not_touch_each_other(
    given_queries: tuple[ScoreScale, list[Query]], random: Random
) -> None:
    scale, queries = given_queries
    order = list(range(len(queries)))
    random.shuffle(order)
    straight = standard_metrics(of(queries), scale)
    shuffled = standard_metrics(of([queries[i] for i in order]), scale)
    for name, values in straight.items():
        np.testing.assert_allclose(shuffled[name], values[order], rtol=1e-12, err_msg=name)


@given(
    st.sampled_from(SCALES).flatmap(lambda scale: st.tuples(st.just(scale), a_query(scale))),
    st.data(),
)
def test_a_better_document_moved_up_never_lowers(
    given_query: tuple[ScoreScale, Query], data: st.DataObject
) -> None:
    scale, (ranked, judged) = given_query
    if len(ranked) < 2:
        return
    places = st.lists(st.integers(0, len(ranked) - 1), min_size=2, max_size=2, unique=True)
    upper, lower = sorted(data.draw(places))
    swapped = list(ranked)
    swapped[upper], swapped[lower] = ranked[lower], ranked[upper]
    floor = floor_of(scale)
    improves = judged.get(ranked[lower], floor) >= judged.get(ranked[upper], floor)
    worse, better = (ranked, swapped) if improves else (swapped, ranked)
    both = of([(worse, judged), (better, judged)])
    for name in ("nDCG@10", "nDCG(gain=exp)@10", "ERR@10", "RBP@10", "nDCG@3", "ERR@3", "RBP@3"):
        before, after = measure(name, both, scale)
        assert np.isnan(before) or after >= before - 1e-12, name


@pytest.mark.parametrize("scale", SCALES)
def test_the_ideal_order_has_ndcg_one(scale: ScoreScale) -> None:
    rng = np.random.default_rng(0)
    judged = dict(zip(DOCUMENTS, rng.uniform(scale.minimum, scale.maximum, 12), strict=True))
    best = sorted(judged, key=lambda document: judged[document], reverse=True)
    rankings = of([(best, judged), (best[::-1], judged)])
    for name in ("nDCG@10", "nDCG(gain=exp)@10"):
        values = measure(name, rankings, scale)
        assert values[0] == 1.0
        assert values[1] < 1.0


@settings(max_examples=50)
@given(queries_on_scales, st.floats(0.1, 10), st.randoms(use_true_random=False))
def test_what_changes_nothing(
    given_queries: tuple[ScoreScale, list[Query]], factor: float, random: Random
) -> None:
    """nDCG with linear gain, RBP and what asks for relevance alone do not see the unit of scores.

    The order in which judgments are listed, and the names of documents, do not matter at all.
    """
    scale, queries = given_queries
    names = [
        "nDCG@5",
        "nDCG",
        "RBP",
        "RR@5",
        "mAP",
        "R@5",
        "P@5",
        "Judged@5",
        "nDCG(condensed=true)",
    ]
    straight = standard_metrics(of(queries), scale, names)
    scaled = [(ranked, {d: s * factor for d, s in judged.items()}) for ranked, judged in queries]
    larger = ScoreScale(
        scale.minimum * factor,
        scale.maximum * factor,
        scale.relevant * factor,
        gain_floor=floor_of(scale) * factor,
    )
    renamed = []
    for ranked, judged in queries:
        items = [(f"x{document}", score) for document, score in judged.items()]
        random.shuffle(items)
        renamed.append(([f"x{document}" for document in ranked], dict(items)))
    for name, values in standard_metrics(of(scaled), larger, names).items():
        np.testing.assert_allclose(values, straight[name], rtol=1e-9, atol=1e-12, err_msg=name)
    for name, values in standard_metrics(of(renamed), scale, names).items():
        np.testing.assert_array_equal(values, straight[name], err_msg=name)


@settings(max_examples=40)
@given(queries_on_scales)
def test_a_value_does_not_depend_on_what_else_is_measured(
    given_queries: tuple[ScoreScale, list[Query]],
) -> None:
    scale, queries = given_queries
    names = [f"{family}@{k}" for family in FAMILIES for k in (1, 3, 1000)]
    together = standard_metrics(of(queries), scale, names)
    for name, values in together.items():
        np.testing.assert_array_equal(values, measure(name, of(queries), scale), err_msg=name)


def test_condensed_lists_close_up() -> None:
    rankings = of([(["x", "a", "y", "b"], {"a": 1.0, "b": 3.0, "c": 0.0})])
    assert rankings.condensed.lengths.tolist() == [2]
    assert rankings.condensed.scores.tolist() == [[1.0, 3.0]]
    scale = ScoreScale(0, 3, 1)
    assert measure("RR@1", rankings, scale).tolist() == [0]
    assert measure("RR(condensed=true)@1", rankings, scale).tolist() == [1]
    assert measure("P(condensed=true)@2", rankings, scale).tolist() == [1]


def test_scores_that_differ_by_less_than_one_count() -> None:
    judged = {"a": 0.9, "b": 0.4}
    values = measure("nDCG@10", of([(["b", "a"], judged)]), ScoreScale(0, 1, 0.5))
    assert values[0] == pytest.approx((0.4 + 0.9 / np.log2(3)) / (0.9 + 0.4 / np.log2(3)))


def test_the_ideal_counts_documents_that_were_not_retrieved() -> None:
    values = measure("nDCG@10", of([(["b"], {"a": 2.0, "b": 1.0})]), ScoreScale(0, 2, 1))
    assert values[0] == pytest.approx(1 / (2 + 1 / np.log2(3)))


def test_undefined_queries_are_left_out_and_counted() -> None:
    queries: list[Query] = [
        (["a"], {"a": 1.0}),
        (["a"], {"a": 0.0}),
        (["a"], {}),
        ([], {"a": 1.0}),
    ]
    found = summarise(standard_metrics(of(queries), ScoreScale(0, 1, 0.5)))
    assert found["nDCG@10"] == Mean(0.5, 2)
    assert found["mAP@1000"] == Mean(0.5, 2)
    assert found["R@10"] == Mean(0.5, 2)
    assert found["RR@10"] == Mean(0.25, 4)
    assert found["Judged@10"] == Mean(0.5, 4)
    assert mean_of_defined(np.array([np.nan])) == Mean(None, 0)


def test_gain_map() -> None:
    scores = np.array([-1.0, 0.0, 1.0, 4.0, 50.0, 100.0, 200.0])
    web = GainMap(ScoreScale(0, 4, 1))
    np.testing.assert_array_equal(web.grade(scores), [0, 0, 1, 4, 4, 4, 4])
    np.testing.assert_array_equal(web.exponential(scores), [0, 0, 1, 15, 15, 15, 15])
    hundred = GainMap(ScoreScale(1, 100, 1))
    np.testing.assert_allclose(hundred.grade(scores), [0, 0, 0.04, 0.16, 2, 4, 4])
    assert hundred.highest_grade == 4
    np.testing.assert_array_equal(hundred.linear(scores), [0, 0, 1, 4, 50, 100, 200])
    clicks = GainMap(ScoreScale(0, 0.5, 0.5))
    assert clicks.highest_grade == 0.5
    np.testing.assert_array_equal(clicks.grade(np.array([0.25, 0.5])), [0.25, 0.5])
    below = GainMap(ScoreScale(-2, 2, 1))
    np.testing.assert_array_equal(below.linear(np.array([-2.0, 0.0, 2.0])), [0, 2, 4])
    zero = GainMap(ScoreScale(-2, 2, 1, gain_floor=0))
    np.testing.assert_array_equal(zero.linear(np.array([-2.0, 0.0, 2.0])), [0, 0, 2])
    assert zero.highest_grade == 2
    np.testing.assert_array_equal(GainMap(ScoreScale(0, 0, 1)).fraction(np.zeros(2)), [0, 0])


def test_err_takes_the_highest_grade_of_the_stated_scale_or_the_one_that_is_given() -> None:
    rankings = of([(["a"], {"a": 3.0})])
    assert measure("ERR@10", rankings, ScoreScale(0, 3, 1))[0] == pytest.approx(7 / 8)
    assert measure("ERR@10", rankings, ScoreScale(0, 4, 1))[0] == pytest.approx(7 / 16)
    assert measure("ERR(max=4)@10", rankings, ScoreScale(0, 3, 1))[0] == pytest.approx(7 / 16)
    # A wider scale is mapped onto 0 … max.
    assert measure("ERR@10", rankings, ScoreScale(0, 6, 1))[0] == pytest.approx(3 / 16)
    assert measure("ERR(max=6)@10", rankings, ScoreScale(0, 6, 1))[0] == pytest.approx(7 / 64)
    assert str(Metric.parse("ERR(max=4)@10")) == "ERR(max=4)@10"


def test_functions_take_their_gains() -> None:
    rankings = of([(["a", "b"], {"a": 1.0, "b": 3.0})])
    assert err(rankings, 10, lambda s: s, 4.0)[0] == pytest.approx(1 / 16 + 15 / 16 * 7 / 16 / 2)
    assert rbp(rankings, 2, lambda s: s / 3, persistence=0.5)[0] == pytest.approx(1 / 6 + 1 / 4)
    assert ndcg(rankings, 1, lambda s: s)[0] == pytest.approx(1 / 3)


def test_no_queries() -> None:
    for values in standard_metrics(of([]), ScoreScale(0, 1, 1)).values():
        assert values.shape == (0,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "Did you mean 'nDCG'"),
        ("recal@10", "Did you mean 'R'"),
        ("P", "cutoff"),
        ("nDCG@0", "at least 1"),
        ("ndcg@-1", "at least 1"),
        ("ndcg@ten", "at least 1"),
        ("ndcg@²", "at least 1"),
    ],
)
def test_refused_names(name: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        measure(name, of([]), ScoreScale(0, 1, 1))


def test_refused_cutoff() -> None:
    with pytest.raises(MetricError, match="at least 1"):
        ndcg(of([]), 0, lambda s: s)


@pytest.mark.parametrize(
    ("lengths", "offsets", "ideal"),
    [
        ([1], [0, 1, 2], [2.0, 1.0]),
        ([1, 3], [0, 1, 2], [2.0, 1.0]),
        ([1, 1], [0, 1, 1], [2.0, 1.0]),
        ([1, 1], [0, 2, 2], [1.0, 2.0]),
        ([1, 1], [0, 2, 2], [1.0, float("nan")]),
    ],
)
def test_refused_rankings(lengths: list[int], offsets: list[int], ideal: list[float]) -> None:
    with pytest.raises(MetricError, match="judged rankings"):
        JudgedRankings(np.ones((2, 2)), np.array(lengths), np.array(offsets), np.array(ideal))
