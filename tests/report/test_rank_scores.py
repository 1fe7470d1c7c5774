from __future__ import annotations

import dataclasses
from collections.abc import Callable

import polars as pl
import pytest

from rankfield.evaluation import Results, compare
from rankfield.report.rank_scores import RankScores, rank_scores, rises_above
from rankfield.schema import RankingDataset

MakeResults = Callable[..., Results]


def _scored(results: Results, dataset: RankingDataset) -> Results:
    """Give the rankings the scores of the judgments, as an evaluation does."""
    scores = dataset.judgments.select("query_id", "doc_id", judged_score="score")
    ranked = results.rankings.join(
        scores, on=["query_id", "doc_id"], how="left", maintain_order="left"
    )
    return dataclasses.replace(results, rankings=ranked)


def test_means_equal_a_plain_loop(dataset: RankingDataset, make_results: MakeResults) -> None:
    results = [_scored(make_results(name, 0.5), dataset) for name in ("A", "B", "B")]
    short = results[2].rankings.filter(pl.col("rank") != 2)
    results[2] = dataclasses.replace(results[2], rankings=short)
    for curve in rank_scores(compare(results, metrics=["nDCG@10"]), dataset):
        queries = results[0].queries.filter(split=curve.split)["query_id"].to_list()
        judged = dataset.judgments.filter(split=curve.split)
        for rank in range(1, 7):
            best = 0.0
            for query in queries:
                scores = sorted(judged.filter(query_id=query)["score"], reverse=True)
                best += scores[rank - 1] if rank <= len(scores) else 0.0
            assert curve.ideal[rank - 1] == pytest.approx(best / len(queries))
            for name, runs in (("A", results[:1]), ("B", results[1:])):
                total = 0.0
                for run in runs:
                    at = run.rankings.filter(split=curve.split, rank=rank)["judged_score"]
                    total += sum(score or 0.0 for score in at) / len(queries)
                assert curve.models[name][rank - 1] == pytest.approx(total / len(runs))


def test_rankings_without_scores_have_no_curve(
    dataset: RankingDataset, make_results: MakeResults
) -> None:
    assert rank_scores(compare([make_results("A", 0.5)], metrics=["nDCG@10"]), dataset) == []


def test_a_curve_above_the_best_possible_is_explained() -> None:
    ideal, below, above = (3.0, 1.0), (2.0, 1.0), (1.0, 2.0)
    assert not rises_above([RankScores("all", ideal, {"a": below})])
    assert rises_above([RankScores("all", ideal, {"a": below, "b": above})])
