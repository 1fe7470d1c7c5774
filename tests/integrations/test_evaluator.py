"""The evaluator of sentence-transformers' trainer gives the figures of `rankfield evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import rankfield
from rankfield.encoders import ComposedEncoder, RankingModel, SentenceTransformersTower
from rankfield.errors import DataError, MetricError
from rankfield.evaluation import EvaluationOptions, Results
from rankfield.integrations.sentence_transformers import GradedRetrievalEvaluator
from rankfield.schema import RankingDataset
from tiny_sentence_transformer import tiny_sentence_transformer

QUERIES = {"q1": "red ball", "q2": "blue mug", "q3": "lamp"}
CORPUS = {"d1": "large red ball", "d2": "blue box", "d3": "nice mug", "d4": "cheap lamp", "d5": ""}
SCORES = {"q1": {"d1": 2.5, "d2": 0.5}, "q2": {"d3": 1.5, "d2": 1.0}, "q3": {"d4": 0.0}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_sentence_transformer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    folder = tmp_path_factory.mktemp("shop")
    made = rankfield.sample_shop(folder / "made", documents=200, queries=40, images=False)
    return rankfield.split(made)


def ranking_model(model: Any, dataset: RankingDataset, folder: Path) -> RankingModel:
    model.save(str(folder))
    encoder = ComposedEncoder(SentenceTransformersTower.load(str(folder)), None, dimension=None)
    texts = [f for f in dataset.document_fields if f.modality == "text"]
    return RankingModel(encoder, dataset.query_fields, texts)


def test_the_figures_are_those_of_evaluate(
    model: Any, shop: RankingDataset, tmp_path: Path
) -> None:
    evaluator = GradedRetrievalEvaluator.of_dataset(shop, subset="dev", name="shop")
    found = evaluator(model)
    expected = rankfield.evaluate(
        ranking_model(model, shop, tmp_path / "model"), shop, EvaluationOptions(subset="dev")
    )
    assert len(expected.splits) == 4
    for split, means in expected.splits.items():
        for metric in ("nDCG@10", "ERR@10", "RBP@10"):
            key = f"shop_{split}_{metric}"
            assert found[key] == pytest.approx(means[metric].value, abs=1e-6)
            assert found[f"{key}_low"] == pytest.approx(means[metric].low, abs=1e-6)
            assert found[f"{key}_high"] == pytest.approx(means[metric].high, abs=1e-6)
    values = np.array([means["nDCG@10"].value for means in expected.splits.values()], np.float64)
    assert found[evaluator.primary_metric] == pytest.approx(values.mean(), abs=1e-6)
    assert evaluator.primary_metric == "shop_nDCG@10"
    for name in ("nDCG@10", "RBP@10"):
        assert evaluator.per_query[name].to_list() == pytest.approx(
            expected.queries[name].to_list(), abs=1e-6
        )
    assert evaluator.per_query["query_id"].to_list() == expected.queries["query_id"].to_list()


def test_dictionaries(model: Any, tmp_path: Path) -> None:
    evaluator = GradedRetrievalEvaluator(
        QUERIES, CORPUS, SCORES, score_scale=(0.0, 3.0), metrics=["ERR@10", "ndcg@10"]
    )
    found = evaluator(model, output_path=str(tmp_path), epoch=1.0, steps=10)
    assert evaluator.primary_metric == "nDCG@10"
    assert list(found) == [
        *("nDCG@10", "nDCG@10_low", "nDCG@10_high"),
        *("ERR@10", "ERR@10_low", "ERR@10_high"),
    ]
    assert found["nDCG@10_low"] <= found["nDCG@10"] <= found["nDCG@10_high"]
    values = evaluator.per_query["nDCG@10"].to_list()
    assert values[2] is None  # nothing good is judged
    assert found["nDCG@10"] == pytest.approx((values[0] + values[1]) / 2)
    evaluator(model, output_path=str(tmp_path), epoch=2.0, steps=20)
    table = pl.read_csv(tmp_path / "graded_retrieval.csv")
    assert table["steps"].to_list() == [10, 20]
    assert table["nDCG@10"].to_list() == pytest.approx([found["nDCG@10"]] * 2)
    saved = Results.load(tmp_path / "graded_retrieval.json")
    assert saved.splits["all"]["nDCG@10"].value == pytest.approx(found["nDCG@10"])
    assert "d5" not in saved.rankings["doc_id"].to_list()  # it has no text


def test_prompts_and_dimensions_reach_the_model(model: Any) -> None:
    plain = GradedRetrievalEvaluator(QUERIES, CORPUS, SCORES)
    plain(model)
    seen = []
    for settings in ({"query_prompt": "cheap "}, {"truncate_dim": 3}, {"corpus_prompt": "blue "}):
        other = GradedRetrievalEvaluator(QUERIES, CORPUS, SCORES, **settings)
        other(model)
        assert plain.results is not None
        assert other.results is not None
        similar = "similarity"
        seen.append(other.results.rankings[similar].equals(plain.results.rankings[similar]))
    assert seen == [False, False, False]


def test_what_is_refused(model: Any, shop: RankingDataset) -> None:
    with pytest.raises(DataError, match="unknown query 'q9'"):
        GradedRetrievalEvaluator(QUERIES, CORPUS, {"q9": {"d1": 1.0}})
    with pytest.raises(DataError, match="there is no judged pair"):
        GradedRetrievalEvaluator(QUERIES, CORPUS, {"q1": {}})
    with pytest.raises(MetricError, match="found 'nDCG@7'"):
        GradedRetrievalEvaluator(QUERIES, CORPUS, SCORES, metrics=["nDCG@7"])
    with pytest.raises(DataError, match=r"text fields, .*found 'colour'"):
        GradedRetrievalEvaluator.of_dataset(shop, document_field="colour")
    fields = tuple(replace(f, modality="image") for f in shop.query_fields)
    with pytest.raises(DataError, match="the query's text fields, none; found none"):
        GradedRetrievalEvaluator.of_dataset(replace(shop, query_fields=fields))
    with pytest.raises(DataError, match="nothing was evaluated yet"):
        _ = GradedRetrievalEvaluator(QUERIES, CORPUS, SCORES).per_query
