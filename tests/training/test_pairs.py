from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankfield.encoders.columns import FieldColumn, field_columns
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, parse_recipe
from rankfield.training.pairs import TrainingPairs
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def recipe(**values: Any) -> Recipe:
    return parse_recipe({"batch": {"size": 8}, **values})


def columns_of(data: RankingDataset) -> dict[Any, list[FieldColumn]]:
    return {
        "query": field_columns(data.queries, data.query_fields),
        "document": field_columns(data.documents, data.document_fields),
    }


def test_judged_pairs_of_any_queries_and_documents(shop: RankingDataset) -> None:
    pairs = TrainingPairs.of(recipe(), shop)
    rng = np.random.default_rng(0)
    listed = zip(pairs.query_rows.tolist(), pairs.document_rows.tolist(), strict=True)
    scores = dict(zip(listed, pairs.scores.tolist(), strict=True))
    for _ in range(20):
        queries = np.flatnonzero(rng.random(shop.queries.height) < 0.4)
        documents = np.flatnonzero(rng.random(shop.documents.height) < 0.3)
        found = pairs.among(queries, documents)
        expected = {
            (i, j): scores[q, d]
            for i, q in enumerate(queries.tolist())
            for j, d in enumerate(documents.tolist())
            if (q, d) in scores
        }
        places = zip(found.queries.tolist(), found.documents.tolist(), strict=True)
        assert dict(zip(places, found.scores.tolist(), strict=True)) == expected


def test_records_of_equal_content_are_one(shop: RankingDataset) -> None:
    training = shop.training_judgments()
    doubled = training["doc_id"][0]
    copy = shop.documents.filter(pl.col("doc_id") == doubled).with_columns(doc_id=pl.lit("copy"))
    judged = training.filter(pl.col("doc_id") == doubled)
    other = judged.with_columns(doc_id=pl.lit("copy"), score=pl.col("score") - 1)
    data = shop.with_tables(
        documents=pl.concat([shop.documents, copy]), judgments=pl.concat([shop.judgments, other])
    )
    apart, together = (
        TrainingPairs.of(recipe(), data),
        TrainingPairs.of(recipe(), data, columns_of(data)),
    )
    assert len(apart) == len(together) + judged.height
    row = shop.documents["doc_id"].index_of(doubled)
    assert shop.documents.height in apart.document_rows
    assert shop.documents.height not in together.document_rows
    own = together.document_rows == row
    before = TrainingPairs.of(recipe(), shop)
    np.testing.assert_allclose(
        together.scores[own], before.scores[before.document_rows == row] - 0.5
    )


def test_queries_that_judge_the_documents(shop: RankingDataset) -> None:
    pairs = TrainingPairs.of(recipe(), shop)
    documents = np.unique(pairs.document_rows)[:6]
    inside = np.isin(pairs.document_rows, documents)
    queries, times = np.unique(pairs.query_rows[inside], return_counts=True)
    possible = set(queries[times > 1].tolist())
    without = queries[:2]
    rng = np.random.default_rng(0)
    found = pairs.judging(documents, 1000, without, rng)
    assert len(set(found.tolist())) == len(found)
    assert set(found.tolist()) == possible - set(without.tolist())
    few = [pairs.judging(documents, 3, without, np.random.default_rng(s)) for s in (1, 1, 2, 3)]
    assert all(len(some) == 3 for some in few)
    assert np.array_equal(few[0], few[1])
    assert any(set(few[0]) != set(some) for some in few[2:])


def test_trust_scales_the_weight_of_further_judgments(shop: RankingDataset, tmp_path: Path) -> None:
    training = shop.training_judgments()
    known = training.select("query_id", "doc_id")
    everything = (
        training.select("query_id").unique().join(training.select("doc_id").unique(), how="cross")
    )
    new = everything.join(known, on=["query_id", "doc_id"], how="anti").sort(pl.all()).head(5)
    path = tmp_path / "teacher.parquet"
    new.with_columns(score=pl.Series([1.0, 2.0, 2.5, 3.0, 3.5])).write_parquet(path)
    source = {"path": str(path), "trust": 0.25, "map": "none"}
    weights = {"weight": "constant"}
    pairs = TrainingPairs.of(recipe(judgments=[source], loss=weights), shop)
    assert len(pairs) == training.height + 5
    assert sorted(np.unique(pairs.weights).tolist()) == [0.25, 1.0]
    assert (pairs.weights == 0.25).sum() == 5
