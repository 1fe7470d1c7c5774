"""The published evaluations against the packages they use: pandas' draw, BEIR's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankfield.errors import DataError, MetricError
from rankfield.evaluation import EvaluationOptions, Results, compare, evaluate
from rankfield.evaluation.beir import beir_mean, beir_values
from rankfield.evaluation.marqo_gs import (
    CUTOFFS,
    marqo_gs_metrics,
    marqo_gs_view,
    sampled_queries,
    whole_grades,
)
from rankfield.schema import SplitView
from rankfield.search import Hits
from ranking_shop import FakeModel, ranking_shop

Table = dict[str, dict[str, Any]]


def a_split(seed: int, *, queries: int = 40, documents: int = 150, depth: int = 60) -> Any:
    """Make a split with float scores and hits in which many similarities tie.

    Some queries have the id of a document; not every document is judged.
    """
    rng = np.random.default_rng(seed)
    names = [f"d{n:03d}" for n in rng.permutation(documents)]
    asked = [f"q{n}" if n % 3 else f"d{n:03d}" for n in range(queries)]
    rows = [
        (query, names[document], float(score))
        for query in asked
        for document, score in zip(
            rng.choice(documents - 30, rng.integers(1, 20), replace=False),
            rng.uniform(0.5, 9, 20),
            strict=False,
        )
    ]
    similarities = np.round(rng.standard_normal((queries, documents)), 1).astype(np.float32)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :depth]
    view = SplitView(
        "all",
        pl.DataFrame({"query_id": asked}),
        pl.DataFrame({"doc_id": names}),
        pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row"),
    )
    return view, Hits(order, np.take_along_axis(similarities, order, axis=1))


def tables_of(view: SplitView, hits: Hits) -> tuple[Table, Table]:
    """Return query → document → whole grade, and query → document → similarity."""
    judged: Table = {}
    for query, document, score in view.judgments.select("query_id", "doc_id", "score").iter_rows():
        judged.setdefault(query, {})[document] = int(score)
    names = view.documents["doc_id"].to_list()
    found = {
        query: {names[d]: float(s) for d, s in zip(documents, scores, strict=True) if d >= 0}
        for query, documents, scores in zip(
            view.queries["query_id"], hits.indices, hits.similarities, strict=True
        )
    }
    return judged, found


def rows_of(view: SplitView, wanted: SplitView, hits: Hits) -> Hits:
    """Return the hits of the queries of `wanted`, in their order."""
    places = {query: row for row, query in enumerate(view.queries["query_id"])}
    rows = [places[query] for query in wanted.queries["query_id"]]
    return Hits(hits.indices[rows], hits.similarities[rows])


def by_loops(judged: Table, found: Table) -> dict[str, float]:
    """Return mERR and mRBP as GCL's script defines them."""
    sums = {"mERR": 0.0, "mRBP7": 0.0, "mRBP8": 0.0, "mRBP9": 0.0}
    for query, grades in judged.items():
        best, reach = max(grades.values()), 1.0
        ranked = sorted(found[query].items(), key=lambda pair: -pair[1])
        for rank, (document, _) in enumerate(ranked, start=1):
            grade = grades.get(document, 0)
            stop = (2**grade - 1) / 2**best
            sums["mERR"] += reach * stop / rank
            reach *= 1 - stop
            for p in (7, 8, 9):
                sums[f"mRBP{p}"] += (1 - p / 10) * (p / 10) ** (rank - 1) * grade / best
    return {name: value / len(judged) for name, value in sums.items()}


@pytest.mark.parametrize("seed", range(5))
def test_the_sampled_queries_are_pandas(seed: int) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "query_id": [f"Anfrage ü{n}" for n in rng.integers(0, 300, 4000)],
            "score": rng.integers(1, 101, 4000),
        }
    )
    sums = pandas.DataFrame(frame.to_dict(as_series=False)).groupby("query_id").sum()
    # Newer versions refuse to draw so many that the heaviest query would be certain.
    count = min(50, int(sums["score"].sum() / sums["score"].max()))
    drawn = sums.sample(n=count, weights=sums["score"], random_state=1, replace=False)
    wanted = list(drawn.sort_values(by="score", ascending=False).index)
    assert sampled_queries(frame, count=count) == wanted
    assert sampled_queries(frame, count=-1) != sampled_queries(frame, count=-1, seed=2)
    assert set(sampled_queries(frame)) == set(frame["query_id"])


def test_the_draw_goes_by_the_text_and_its_mark() -> None:
    judged = pl.DataFrame(
        {"query_id": ["b", "a", "c", "c"], "doc_id": list("ddde"), "score": [8.0, 5.0, 9.0, 0.0]}
    )
    drawn = []
    for texts in (["lamp", "lamp shade", "mug"], ["lamp shade", "lamp", "mug"], ["1", "2", "3"]):
        queries = pl.DataFrame({"query_id": ["a", "b", "c"], "query": texts})
        view = SplitView("all", queries, pl.DataFrame({"doc_id": ["d"]}), judged)
        drawn.append([marqo_gs_view(view, queries=1, seed=n).queries["query_id"][0]
                      for n in range(40)])  # fmt: skip
    grades = judged.with_columns(score=pl.Series([89, 56, 100, 1]))
    plain = [sampled_queries(grades, count=1, seed=n)[0] for n in range(40)]
    # "lamp shade_{!@#~}_" comes before "lamp_{!@#~}_".
    assert drawn[1] == drawn[2] == plain
    assert drawn[0] != plain


def test_a_golden_draw() -> None:
    """What pandas 3.1 draws from these."""
    scores = [1, 5, 9, 2, 2, 7, 100, 40, 3, 3, 60, 8]
    frame = pl.DataFrame({"query_id": [f"q{n}" for n in range(12)], "score": scores})
    assert sampled_queries(frame, count=2) == ["q6", "q0"]


def test_whole_grades() -> None:
    assert whole_grades(np.array([0.0, 0.5, 0.999, 1.0])).tolist() == [1, 50, 99, 100]
    assert whole_grades(np.array([3.0, 3.0])).tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(8))
def test_marqo_gs_equals_its_script(seed: int) -> None:
    evaluator = pytest.importorskip("beir.retrieval.evaluation").EvaluateRetrieval
    whole, all_hits = a_split(seed)
    view = marqo_gs_view(whole, queries=25)
    hits = rows_of(whole, view, all_hits)
    judged, found = tables_of(view, hits)
    assert len(judged) == view.queries.height == 25
    wanted: dict[str, dict[str, float]] = dict(
        zip(
            ("ndcg", "mAP", "recall", "precision"),
            evaluator.evaluate(judged, found, CUTOFFS),
            strict=True,
        )
    )
    for name in ("mrr", "hole", "acc"):
        wanted[name] = evaluator.evaluate_custom(judged, found, CUTOFFS, metric=name)
    ours = marqo_gs_metrics(view, hits)
    summary = ours.pop("summary")
    assert {group: set(figures) for group, figures in ours.items()} == {
        group: set(figures) for group, figures in wanted.items()
    }
    for group, figures in wanted.items():
        for name, value in figures.items():
            assert ours[group][name] == pytest.approx(value, abs=1e-9), name
    assert {name: summary[name] for name in by_loops(judged, found)} == pytest.approx(
        by_loops(judged, found), abs=1e-12
    )
    assert summary["mAP@1000"] == wanted["mAP"]["MAP@1000"]
    assert summary["mrr@1000"] == wanted["mrr"]["MRR@1000"]
    assert summary["NDCG@10"] == wanted["ndcg"]["NDCG@10"]


def test_marqo_gs_cuts_the_ground_truth() -> None:
    whole, _ = a_split(0)
    view = marqo_gs_view(whole, queries=-1, depth=5)
    counts = view.judgments.group_by("query_id").len()
    assert counts["len"].max() == 5
    before = whole.judgments.with_columns(
        score=pl.Series(whole_grades(whole.judgments["score"].to_numpy()))
    )
    for query, kept in view.judgments.group_by("query_id"):
        grades = before.filter(query_id=query[0])["score"].sort(descending=True)
        assert kept["score"].sort(descending=True).to_list() == grades.head(5).to_list()


@pytest.mark.parametrize("seed", range(5))
def test_beir_equals_beir(seed: int) -> None:
    evaluator = pytest.importorskip("beir.retrieval.evaluation").EvaluateRetrieval
    view, hits = a_split(seed)
    grades = np.random.default_rng(seed).integers(0, 4, view.judgments.height)
    view = SplitView(
        "all", view.queries, view.documents, view.judgments.with_columns(score=pl.Series(grades))
    )
    judged, found = tables_of(view, hits)
    cutoffs = (1, 3, 10, 100, 1000)
    wanted: dict[str, float] = {}
    for figures in evaluator.evaluate(judged, found, cutoffs):
        wanted |= figures
    wanted |= evaluator.evaluate_custom(judged, found, cutoffs, metric="mrr")
    values = beir_values(view, hits, cutoffs)
    assert {name: beir_mean(column) for name, column in values.items()} == pytest.approx(
        wanted, abs=1e-9
    )


@pytest.mark.parametrize("protocol", ["marqo-gs", "beir"])
def test_results_by_a_protocol(tmp_path: Path, protocol: str) -> None:
    dataset = ranking_shop().save(tmp_path / "data")
    results = evaluate(FakeModel(noise=1.0), dataset, EvaluationOptions(protocol=protocol))
    results.save(tmp_path / "r.json")
    loaded = Results.load(tmp_path / "r.json")
    assert loaded.protocol == protocol
    assert loaded.splits == results.splits
    assert "NDCG@10" in loaded.queries.columns
    assert compare([loaded, results]).metrics == list(results.splits["in_domain"])
    own = evaluate(FakeModel(noise=1.0), dataset)
    with pytest.raises(MetricError, match=f"the same protocol, found {protocol} and rankfield"):
        compare([loaded, own])


def test_refusals(tmp_path: Path) -> None:
    dataset = ranking_shop().save(tmp_path / "data")
    with pytest.raises(MetricError, match="Did you mean 'marqo-gs'"):
        evaluate(FakeModel(), dataset, EvaluationOptions(protocol="marqo-sg"))
    low = dataset.with_tables(judgments=dataset.judgments.with_columns(score=pl.lit(0.5)))
    with pytest.raises(DataError, match="no score of 1 or more"):
        evaluate(FakeModel(), low, EvaluationOptions(protocol="beir"))
