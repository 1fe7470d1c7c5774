"""The same figures as trec_eval and gdeval on integer grades, with ties and missing queries.

trec_eval and gdeval order documents of equal score by descending doc_id, rankfield by row. To
compare the metrics, and not the order of ties, rankfield gets the documents in trec_eval's order.
"""

from __future__ import annotations

import shutil

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from rankfield.metrics import measure
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import ScoreScale
from reference_metrics import judged_rankings, trec_order

Grades = dict[str, dict[str, int]]
Runs = dict[str, dict[str, float]]

SCALE = ScoreScale(0, 4, 1)
RUNS = 320
NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "mAP@1000": "map_cut_1000",
    "RR@1000": "recip_rank",
    "R@10": "recall_10",
    "R@100": "recall_100",
    "R@1000": "recall_1000",
    "P@10": "P_10",
}


def random_run(seed: int, *, positive: bool = False) -> tuple[Grades, Runs]:
    """Make a few queries with few distinct scores, so that most of them tie; some not in the run.

    With `positive`, each query has a positive grade (gdeval divides by the ideal).
    """
    rng = np.random.default_rng(seed)
    documents = np.array([f"d{number:03d}" for number in rng.permutation(60)])
    grades: Grades = {}
    runs: Runs = {}
    for query in range(1, 6):
        judged = rng.choice(documents, rng.integers(1, 40), replace=False)
        values = rng.integers(0, 5, len(judged))
        values[0] = max(values[0], positive)
        grades[str(query)] = {str(d): int(g) for d, g in zip(judged, values, strict=True)}
        if rng.random() < 0.8:
            found = rng.choice(documents, rng.integers(1, 60), replace=False)
            scores = rng.integers(0, 8, len(found)) / 4
            runs[str(query)] = {str(d): float(s) for d, s in zip(found, scores, strict=True)}
    return grades, runs


def values_of(name: str, grades: Grades, runs: Runs) -> FloatArray:
    ranked = [trec_order(runs.get(query, {})) for query in grades]
    return measure(name, judged_rankings(ranked, list(grades.values())), SCALE)


def test_equals_trec_eval_on_many_runs() -> None:
    ties = missing = compared = 0
    for seed in range(RUNS):
        grades, runs = random_run(seed)
        peer = pytrec_eval.RelevanceEvaluator(grades, set(NAMES.values())).evaluate(runs)
        for name, peer_name in NAMES.items():
            ours = values_of(name, grades, runs)
            for query, value in zip(grades, ours, strict=True):
                # trec_eval leaves a query out that the run lacks, and says 0 where NaN is ours.
                expected = peer[query][peer_name] if query in runs else 0.0
                nothing_relevant = not any(grades[query].values())
                assert np.isnan(value) == (
                    nothing_relevant and name.split("@")[0] in ("nDCG", "mAP", "R")
                )
                assert abs(np.nan_to_num(value) - expected) < 1e-6, (seed, query, name)
                compared += 1
        ties += sum(len(set(run.values())) < len(run) for run in runs.values())
        missing += len(grades) - len(runs)
    assert compared == RUNS * 5 * len(NAMES)
    assert ties > RUNS
    assert missing > RUNS / 2


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
    grades: Grades = {}
    runs: Runs = {}
    for seed in range(60):
        some_grades, some_runs = random_run(seed, positive=True)
        # gdeval wants numbers as query ids.
        grades |= {f"{seed + 1}{query}": value for query, value in some_grades.items()}
        runs |= {f"{seed + 1}{query}": value for query, value in some_runs.items()}
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([peer], grades, runs)}
    ours = dict(zip(grades, values_of(name, grades, runs), strict=True))
    assert len(runs) > 200
    for query, value in ours.items():
        # gdeval prints five decimals.
        assert abs(value - expected[query]) < 6e-6, query


def test_judged_equals_ir_measures() -> None:
    peer = ir_measures.Judged @ 10
    for seed in range(30):
        grades, runs = random_run(seed)
        # Its own order of ties is by ascending doc_id: take scores without ties.
        runs = {
            q: {d: s + i / 1000 for i, (d, s) in enumerate(run.items())} for q, run in runs.items()
        }
        expected = {m.query_id: m.value for m in ir_measures.iter_calc([peer], grades, runs)}
        for query, value in zip(grades, values_of("Judged@10", grades, runs), strict=True):
            assert value == pytest.approx(expected.get(query, 0.0))
