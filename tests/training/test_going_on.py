"""Training that begins with a model that rankfield has saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import rankfield
from rankfield.encoders import RankingModel
from rankfield.errors import DataError, ModelError, RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import build_model, parse_recipe, train


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    folder = tmp_path_factory.mktemp("shop") / "shop"
    return rankfield.sample_shop(folder, documents=60, queries=20, per_query=20, images=False)


def settings(**encoder: Any) -> dict[str, Any]:
    return {
        "trackers": [],
        "encoder": encoder,
        "batch": {"size": 16},
        "optimizer": {"steps": 3},
        "dev": {"every": "off"},
    }


@pytest.fixture(scope="module")
def saved(shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "run"
    encoder = {"text_width": 32, "dimension": 16, "query_prefix": "query: "}
    train(parse_recipe(settings(**encoder)), shop, run)
    return run / "model"


def test_it_begins_with_the_saved_weights_and_changes_them(
    shop: RankingDataset, saved: Path, tmp_path: Path
) -> None:
    recipe = parse_recipe(settings(kind="rankfield", model=str(saved)))
    before = RankingModel.load(saved).encoder.state_dict()
    begun = build_model(recipe, shop).encoder.state_dict()
    assert before.keys() == begun.keys()
    assert all(torch.equal(before[name], begun[name]) for name in before)
    model = train(recipe, shop, tmp_path / "run")
    after = model.encoder.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    texts = ["red mug"]
    again = RankingModel.load(saved)
    tokens = again.encoder.tokenize(texts, "query"), model.encoder.tokenize(texts, "query")
    assert all(torch.equal(tokens[0][key], tokens[1][key]) for key in tokens[0])


def test_what_cannot_go_on(shop: RankingDataset, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="query_prefix has no effect"):
        parse_recipe(settings(kind="rankfield", model=str(saved), query_prefix="q: "))
    with pytest.raises(RecipeError, match="text_width has no effect"):
        parse_recipe(settings(kind="rankfield", model=str(saved), text_width=64))
    with pytest.raises(RecipeError, match="needs a model"):
        build_model(parse_recipe(settings(kind="rankfield")), shop)
    with pytest.raises(ModelError, match="no such folder"):
        build_model(parse_recipe(settings(kind="rankfield", model=str(tmp_path / "none"))), shop)


def test_further_judgments_alone(shop: RankingDataset, tmp_path: Path) -> None:
    """Of a data set whose own judgments are all held out."""
    held_out = shop.queries["query_id"].head(5)
    marked = shop.queries.with_columns(
        subset=pl.when(pl.col("query_id").is_in(held_out.implode())).then(pl.lit("dev"))
    )
    known = pl.col("query_id").is_in(held_out.implode())
    data = shop.with_tables(queries=marked, judgments=shop.judgments.filter(known))
    shop.judgments.select("query_id", "doc_id", "score").write_parquet(tmp_path / "more.parquet")
    values = settings(text_width=32, dimension=16)
    for how in ("linear", "none"):
        source = {"path": str(tmp_path / "more.parquet"), "map": how}
        recipe = parse_recipe({**values, "judgments": [source]})
        train(recipe, data, tmp_path / how)
        log = (tmp_path / how / "log.jsonl").read_text("utf-8")
        assert "0 judgments of the data set, and further ones, are trained on" in log
    ranks = {"path": str(tmp_path / "more.parquet"), "map": "ranks"}
    with pytest.raises(DataError, match="no training scores"):
        train(parse_recipe({**values, "judgments": [ranks]}), data, tmp_path / "ranks")
    with pytest.raises(DataError, match="every judgment is held out"):
        train(parse_recipe(values), data, tmp_path / "nothing")
