"""Records without any field that is used: found by no one, whoever searches."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.small import small_encoder
from rankfield.evaluation import EvaluationOptions, evaluate, retrieve
from rankfield.evaluation.baselines import BagOfWords
from rankfield.schema import Field, RankingDataset
from rankfield.training.mining import mine
from rankfield.training.mining_settings import MineSettings
from ranking_shop import ranking_shop

EMPTY = ["d000", "d001", "d010", "d011"]


@pytest.fixture(scope="module")
def shop() -> RankingDataset:
    """The shop, four of its documents without a title, two of them seen; they are judged too."""
    data = ranking_shop(documents=40)
    documents = data.documents.with_columns(
        title=pl.when(pl.col("doc_id").is_in(EMPTY)).then(None).otherwise("title"),
        brand=pl.lit("acme"),
    )
    return data.with_tables(documents=documents)


@pytest.fixture(scope="module")
def model(shop: RankingDataset) -> RankingModel:
    torch.manual_seed(0)
    encoder = small_encoder(shop.documents["title"].drop_nulls(), ["text"], dimension=16, width=32)
    return RankingModel(encoder, shop.query_fields, shop.document_fields).eval()


@pytest.mark.parametrize("protocol", ["rankfield", "beir", "marqo-gs"])
def test_a_model_measures_what_bag_of_words_measures(
    shop: RankingDataset, model: RankingModel, protocol: str
) -> None:
    pytest.importorskip("bm25s")
    deep = EvaluationOptions(keep=1000, protocol=protocol)
    ours, words = evaluate(model, shop, deep), evaluate(BagOfWords(), shop, deep)
    for found in (ours, words):
        assert not set(found.rankings["doc_id"]) & set(EMPTY)
    assert ours.sizes.keys() == words.sizes.keys()
    for split, size in ours.sizes.items():
        assert (size.queries, size.documents, size.judgments) == (
            words.sizes[split].queries,
            words.sizes[split].documents,
            words.sizes[split].judgments,
        )
    seen = shop.documents.filter("seen").height
    lists = ours.rankings.filter(pl.col("split") == "in_domain").group_by("query_id").len()
    assert set(lists["len"]) == {seen - 2}


def test_a_document_that_is_not_found_counts_as_missed(
    shop: RankingDataset, model: RankingModel
) -> None:
    judgments = pl.DataFrame({"query_id": ["q1", "q1"], "doc_id": ["d000", "d002"], "score": 2.0})
    alone = RankingDataset(
        "one", shop.query_fields, shop.document_fields, shop.score_scale,
        shop.queries.drop("seen", "subset"), shop.documents.drop("seen"), judgments,
    )  # fmt: skip
    recall = evaluate(model, alone).splits["all"]["R@100"].value
    assert recall == pytest.approx(0.5)


def test_a_query_without_fields_finds_nothing(shop: RankingDataset, model: RankingModel) -> None:
    blank = pl.when(pl.col("query_id") == "q4").then(pl.lit("")).otherwise("text").alias("text")
    found = evaluate(
        model,
        shop.with_tables(queries=shop.queries.with_columns(blank)),
        EvaluationOptions(subset=None),
    )
    assert "q4" not in found.rankings["query_id"].to_list()
    assert "q4" in found.queries["query_id"].to_list()
    recall = found.queries.filter(pl.col("query_id") == "q4")["R@100"].drop_nulls()
    assert len(recall)
    assert set(recall) == {0.0}


def test_search_and_mining_never_find_them(shop: RankingDataset, model: RankingModel) -> None:
    found = retrieve(model, shop, "red mug", k=1000)
    assert found["rank"].to_list() == list(range(1, 37))
    assert not set(found["doc_id"]) & set(EMPTY)
    open_settings = MineSettings(per_query=50, relative_margin=None, near_duplicate=2.0)
    mined = mine(model, shop, open_settings)
    assert mined.negatives.height
    assert not set(mined.negatives["doc_id"]) & set(EMPTY)
    assert (mined.negatives.group_by("query_id").agg(pl.col("rank").min())["rank"] == 1).all()


def test_an_empty_relevant_document_sets_no_margin(
    shop: RankingDataset, model: RankingModel
) -> None:
    """Its inner product of 0 would lie above the cosines of all real documents of a poor query."""
    away = RankingModel(model.encoder, shop.query_fields, [Field("title", "text")]).eval()
    judged = shop.training_judgments()
    query = judged.filter(pl.col("doc_id") == "d000")["query_id"][0]
    only = judged.filter((pl.col("query_id") == query) & (pl.col("doc_id") == "d000"))
    mined = mine(
        away,
        shop.with_tables(judgments=only.with_columns(score=pl.lit(2.0))),
        MineSettings(relative_margin=0.0),
    )
    assert mined.negatives.is_empty()
    assert mined.short == 1
    assert np.isfinite(away.embed_documents(shop)).all()
