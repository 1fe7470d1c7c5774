"""The same figures as trec_eval, ir_measures and gdeval on integer grades, per query.

1,200 random queries in one evaluation each: most lists have ties, some are empty or missing, some
queries have no positive grade, some grades are negative.
"""

from __future__ import annotations

import shutil

import ir_measures
import numpy as np
import polars as pl
import pytest
import pytrec_eval

import reference_metrics as reference
from rankfield.evaluation import join_run
from rankfield.formats.guesses import guess_scale
from rankfield.metrics import standard_metrics
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import ScoreScale
from reference_metrics import judged_rankings, trec_order

Grades = dict[str, dict[str, int]]
Runs = dict[str, dict[str, float]]

SCALE = ScoreScale(0, 4, 1)
QUERIES = 1200
NAMES = {
    "nDCG": "ndcg",
    "nDCG@1": "ndcg_cut_1",
    "nDCG@5": "ndcg_cut_5",
    "nDCG@10": "ndcg_cut_10",
    "nDCG@1000": "ndcg_cut_1000",
    "mAP": "map",
    "mAP@5": "map_cut_5",
    "mAP@1000": "map_cut_1000",
    "RR": "recip_rank",
    "R@10": "recall_10",
    "R@100": "recall_100",
    "R@1000": "recall_1000",
    "P@5": "P_5",
    "P@10": "P_10",
    "P@1000": "P_1000",
    "Success@1": "success_1",
    "Success@5": "success_5",
    "Success@10": "success_10",
    "Bpref": "bpref",
    "infAP": "infAP",
}


def random_queries(
    seed: int, *, queries: int = QUERIES, positive: bool = False, lowest: int = -1, highest: int = 4
) -> tuple[Grades, Runs]:
    """Make queries with few distinct scores, so that most of them tie.

    Grades go from `lowest` to `highest`. With `positive`, each query has a positive grade (gdeval
    divides by the ideal) and none below 0.
    """
    rng = np.random.default_rng(seed)
    documents = np.array([f"d{number:03d}" for number in rng.permutation(60)])
    grades: Grades = {}
    runs: Runs = {}
    for query in map(str, range(1, queries + 1)):
        judged = rng.choice(documents, rng.integers(1, 40), replace=False)
        values = rng.integers(0 if positive else lowest, highest + 1, len(judged))
        if not positive and rng.random() < 0.1:
            values = np.minimum(values, 0)
        values[0] = max(values[0], positive)
        grades[query] = {str(d): int(g) for d, g in zip(judged, values, strict=True)}
        if rng.random() < 0.85:
            found = rng.choice(documents, rng.integers(0, 60), replace=False)
            scores = rng.integers(-4, 8, len(found)) / 4
            runs[query] = {str(d): float(s) for d, s in zip(found, scores, strict=True)}
    return grades, runs


def table(values: Grades | Runs) -> pl.DataFrame:
    rows = [(query, d, float(v)) for query, row in values.items() for d, v in row.items()]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")


def values_of(
    names: list[str],
    grades: Grades,
    runs: Runs,
    *,
    ties: str = "descending",
    scale: ScoreScale = SCALE,
) -> dict[str, dict[str, float]]:
    """Return metric → query → value."""
    run = join_run(table(grades), table(runs), ties=ties)
    found = standard_metrics(run.rankings, scale, names)
    return {n: dict(zip(run.queries, map(float, v), strict=True)) for n, v in found.items()}


def test_equals_trec_eval_on_many_queries() -> None:
    grades, runs = random_queries(0)
    assert sum(len(set(run.values())) < len(run) for run in runs.values()) > 900
    assert sum(not run for run in runs.values()) > 5
    assert len(runs) < QUERIES - 100
    nothing = {query for query, row in grades.items() if max(row.values()) <= 0}
    assert len(nothing) > 100
    peer = pytrec_eval.RelevanceEvaluator(grades, set(NAMES.values())).evaluate(runs)
    for name, values in values_of(list(NAMES), grades, runs).items():
        undefined = {query for query, value in values.items() if np.isnan(value)}
        # Where nothing is relevant, trec_eval says 0.
        kinds = ("nDCG", "mAP", "R@", "Bpref", "infAP")
        assert undefined == (nothing if name.startswith(kinds) else set())
        for query, value in values.items():
            # trec_eval leaves a query out that the run lacks.
            expected = peer[query][NAMES[name]] if query in runs else 0.0
            assert abs(np.nan_to_num(value) - expected) < 1e-6, (query, name)


def test_equals_ir_measures() -> None:
    grades, runs = random_queries(1)
    names = (
        "Success@3",
        "Success(rel=2)@5",
        "Bpref",
        "infAP",
        "nDCG@10",
        "nDCG",
        "AP@1000",
        "AP",
        "RR",
        "R@100",
        "P@10",
        "P(rel=3)@5",
        "R(rel=2)@20",
    )
    measures = [ir_measures.parse_measure(name) for name in names]
    expected = {
        (m.measure, m.query_id): m.value for m in ir_measures.iter_calc(measures, grades, runs)
    }
    ours = values_of(list(names), grades, runs)
    for measure, values in zip(measures, ours.values(), strict=True):
        for query in runs:
            assert abs(np.nan_to_num(values[query]) - expected[measure, query]) < 1e-6


@pytest.mark.parametrize("name", ["Judged@10", "RR@10"])
def test_equals_ir_measures_own_ties(name: str) -> None:
    """Some providers order ties by ascending doc_id."""
    grades, runs = random_queries(2)
    runs = {query: run for query, run in runs.items() if run}  # it divides by their length
    measure = ir_measures.parse_measure(name)
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([measure], grades, runs)}
    values = values_of([name], grades, runs, ties="ascending")[name]
    assert all(abs(values[query] - expected[query]) < 1e-6 for query in runs)


@pytest.mark.skipif(shutil.which("perl") is None, reason="gdeval is a Perl script")
@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("nDCG(gain=exp)@10", ir_measures.nDCG(dcg="exp-log2") @ 10),
        ("nDCG(gain=exp)@5", ir_measures.nDCG(dcg="exp-log2") @ 5),
        ("ERR@10", ir_measures.ERR @ 10),
        ("ERR@20", ir_measures.ERR @ 20),
    ],
)
def test_equals_ir_measures_by_gdeval(name: str, peer: object) -> None:
    grades, runs = random_queries(3, queries=300, positive=True)
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([peer], grades, runs)}
    values = values_of([name], grades, runs)[name]
    for query, value in values.items():
        # gdeval prints five decimals.
        assert abs(value - expected[query]) < 6e-6, query


@pytest.mark.skipif(shutil.which("perl") is None, reason="gdeval is a Perl script")
@pytest.mark.parametrize("highest", [1, 2, 3])
def test_err_with_max_4_is_gdeval_on_lower_scales_too(highest: int) -> None:
    """Gdeval, and so ir_measures, takes 2^4 whatever the highest grade is."""
    grades, runs = random_queries(5, queries=200, positive=True, highest=highest)
    peer = ir_measures.ERR @ 10
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([peer], grades, runs)}
    found = values_of(["ERR(max=4)@10", "ERR@10"], grades, runs, scale=ScoreScale(0, highest, 1))
    for query, value in found["ERR(max=4)@10"].items():
        assert abs(value - expected[query]) < 6e-6, query
    stop = 2**highest
    for query, value in found["ERR@10"].items():
        ranked = trec_order(runs.get(query, {}))
        plain = reference.err(ranked, grades[query], 10, highest)
        assert value == pytest.approx(plain, abs=1e-12), (query, stop)


@pytest.mark.parametrize(("lowest", "highest"), [(-2, 3), (-3, 0), (-3, -1), (0, 0)])
def test_negative_grades_on_the_guessed_scale_equal_trec_eval(lowest: int, highest: int) -> None:
    grades, runs = random_queries(6, queries=300, lowest=lowest, highest=highest)
    scale = guess_scale(table(grades)["score"])
    assert (scale.minimum, scale.maximum, scale.relevant) == (lowest, max(highest, 0), 1)
    peer = pytrec_eval.RelevanceEvaluator(grades, set(NAMES.values())).evaluate(runs)
    for name, values in values_of(list(NAMES), grades, runs, scale=scale).items():
        for query, value in values.items():
            expected = peer[query][NAMES[name]] if query in runs else 0.0
            assert abs(np.nan_to_num(value) - expected) < 1e-6, (query, name)


def test_the_join_equals_a_plain_one() -> None:
    grades, runs = random_queries(4, queries=200)
    run = join_run(table(grades), table(runs))
    ranked = [trec_order(runs.get(query, {})) for query in run.queries]
    plain = judged_rankings(ranked, [grades[query] for query in run.queries])
    wanted: dict[str, FloatArray] = standard_metrics(plain, SCALE)
    for name, values in standard_metrics(run.rankings, SCALE).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)
