"""Whatever ranks is evaluated by one function."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.evaluation import EvaluationOptions, ModelRanker, RunRanker, evaluate
from rankfield.schema import RankingDataset
from rankfield.search import SearchOptions
from ranking_shop import FakeModel, ranking_shop

DATASET = ranking_shop()


def run_of(rankings: pl.DataFrame) -> pl.DataFrame:
    return rankings.select("query_id", "doc_id", score="similarity")


def test_a_run_file_measures_what_its_model_measures(tmp_path: Path) -> None:
    options = EvaluationOptions(splits=["zero_shot"], keep=1000)
    model = evaluate(FakeModel(noise=1.0), DATASET, options)
    lines = [
        f"{query} Q0 {document} {rank} {score!r} fake"
        for query, document, rank, score in model.rankings.select(
            "query_id", "doc_id", "rank", pl.col("similarity").cast(pl.Float64)
        ).iter_rows()
    ]
    (tmp_path / "fake.run").write_text("\n".join(lines))
    found = evaluate(RunRanker.load(tmp_path / "fake.run"), DATASET, options)
    assert (found.model, found.metadata["run"]) == ("fake", "fake.run")
    assert found.splits == model.splits
    assert found.rankings.equals(model.rankings)


def test_a_run_is_cut_to_the_corpus_and_to_k() -> None:
    seen, unseen = (DATASET.documents.filter(pl.col("seen") == s)["doc_id"] for s in (True, False))
    query = DATASET.view("in_domain", "test").queries["query_id"][0]
    run = pl.DataFrame(
        {
            "query_id": query,
            "doc_id": [unseen[0], seen[3], seen[1], seen[2]],
            "score": [4.0, 2.0, 2.0, 3.0],
        }
    )
    options = EvaluationOptions(splits=["in_domain"], k=2)
    found = evaluate(RunRanker("run", run), DATASET, options).rankings
    # Ties keep the first row of the documents; other queries find nothing.
    assert found.select("query_id", "rank", "doc_id").rows() == [
        (query, 1, seen[2]),
        (query, 2, seen[1]),
    ]


@pytest.mark.parametrize(("key", "value"), [("query_id", "q999"), ("doc_id", "d999")])
def test_a_run_of_other_data_is_refused(key: str, value: str) -> None:
    run = pl.DataFrame({"query_id": ["q0"], "doc_id": ["d0"], "score": [1.0]})
    ranker = RunRanker("mine", run.with_columns(pl.lit(value).alias(key)))
    with pytest.raises(DataError, match=f"unknown {key} '{value}'") as caught:
        evaluate(ranker, DATASET)
    assert caught.value.where == "run mine"


def test_results_say_what_the_ranker_says() -> None:
    ranker = ModelRanker(FakeModel("mine"), {"fingerprint": "abc"})
    found = evaluate(ranker, DATASET, EvaluationOptions(splits=["zero_shot"], k=7))
    assert found.model == "mine"
    assert {name: found.metadata[name] for name in ("k", "fingerprint")} == {
        "k": 7,
        "fingerprint": "abc",
    }


def test_the_search_options_reach_the_search() -> None:
    with pytest.raises(DataError, match="found 'float8'"):
        evaluate(FakeModel(), DATASET, EvaluationOptions(search=SearchOptions(precision="float8")))


def test_the_same_data_without_splits() -> None:
    plain: RankingDataset = ranking_shop(split=False)
    assert list(evaluate(FakeModel(), plain).splits) == ["all"]
