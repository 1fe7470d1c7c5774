"""What is on trial beside the losses, and training with both."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield.curation import split
from rankfield.schema import RankingDataset
from rankfield.synthetic import sample_shop
from rankfield.training import parse_recipe, save_negatives, train
from rankfield.training.negatives import load_negatives

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from candidates.catalogue import catalogue_negatives

sys.path.pop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    folder = tmp_path_factory.mktemp("data") / "shop"
    return split(sample_shop(folder, documents=80, queries=16, per_query=10, images=False))


def recipe(**sections: dict[str, Any]) -> Any:
    small = {"optimizer": {"steps": 2}, "batch": {"size": 8}, "dev": {"every": "off"}}
    return parse_recipe({**small, "trackers": [], "log_every": 1, **sections}, allow_code=True)


def encoded(run: Path) -> list[int]:
    lines = map(json.loads, (run / "log.jsonl").read_text("utf-8").splitlines())
    return [line["documents"] for line in lines if line["event"] == "train"]


def test_the_catalogue_is_drawn_from_what_training_may_see(
    shop: RankingDataset, tmp_path: Path
) -> None:
    found = catalogue_negatives(shop, per_query=5)
    save_negatives(found, tmp_path / "catalogue.parquet")
    # Which refuses held-out ids and judged or repeated pairs.
    frame = load_negatives(tmp_path / "catalogue.parquet", shop)
    assert frame.equals(found.negatives)
    queries = shop.training_judgments()["query_id"].n_unique()
    assert (frame.height, found.queries, found.short) == (5 * queries, queries, 0)
    assert frame["doc_id"].n_unique() > 20
    assert frame.equals(catalogue_negatives(shop, per_query=5).negatives)
    assert not frame.equals(catalogue_negatives(shop, per_query=5, seed=1).negatives)


def test_a_share_of_the_queries_has_the_same_draws_as_all(shop: RankingDataset) -> None:
    every = catalogue_negatives(shop, per_query=5).negatives
    some = catalogue_negatives(shop, per_query=5, share=0.25).negatives
    queries = some["query_id"].unique()
    assert len(queries) == round(0.25 * every["query_id"].n_unique())
    assert some.equals(every.filter(pl.col("query_id").is_in(queries.implode())))
    with pytest.raises(ValueError, match="share"):
        catalogue_negatives(shop, share=0.0)


def test_a_query_that_has_judged_nearly_all_gets_what_is_left(shop: RankingDataset) -> None:
    found = catalogue_negatives(shop, per_query=1000)
    seen = set(shop.training_documents()["doc_id"])
    judged = shop.judgments.group_by("query_id").agg("doc_id")
    for query, documents in judged.iter_rows():
        mine = found.negatives.filter(pl.col("query_id") == query)["doc_id"].to_list()
        assert set(mine) == (seen - set(documents) if mine else set())
    assert found.short == found.queries


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("candidates.spread:SpreadOutLoss", {"weight": 0.1}),
        ("candidates.noise:DocumentNoiseLoss", {"p": 0.1}),
        ("candidates.mixup:DocumentMixupLoss", {"share": 0.5}),
        ("candidates.unjudged:UnjudgedLoss", {"unjudged": 0.5}),
    ],
)
def test_a_recipe_names_a_loss_on_trial(
    shop: RankingDataset, tmp_path: Path, name: str, parameters: dict[str, Any]
) -> None:
    wanted = recipe(loss={"name": name, "parameters": parameters, "per_field": 0.1})
    assert train(wanted, shop, tmp_path / "run").metadata["step"] == 2


def test_training_draws_from_the_catalogue(shop: RankingDataset, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.parquet"
    save_negatives(catalogue_negatives(shop), file)
    train(recipe(), shop, tmp_path / "without")
    train(recipe(negatives={"file": str(file), "per_query": 2}), shop, tmp_path / "with")
    without, more = encoded(tmp_path / "without"), encoded(tmp_path / "with")
    assert all(b > a for a, b in zip(without, more, strict=True))
