"""What a run measures on the way, and what it says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield.errors import RecipeError
from rankfield.schema import SPLITS, RankingDataset, ScoreScale
from rankfield.training import Recipe, parse_recipe, train
from training_data import tiny_shop
from training_runs import log_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


def recipe(**dev: Any) -> Recipe:
    return parse_recipe(
        {
            "log_every": 2,
            "trackers": [],
            "encoder": {"dimension": 16, "text_width": 32},
            "batch": {"size": 8},
            "optimizer": {"steps": 4},
            "dev": {"every": 2} | dev,
        }
    )


def test_a_sample_is_stated_and_small_sets_are_whole(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(recipe(), shop, tmp_path / "default")
    train(recipe(documents="all", queries="all"), shop, tmp_path / "all")
    assert "note" not in capsys.readouterr().err
    assert log_of(tmp_path / "default") == log_of(tmp_path / "all")
    train(recipe(queries=1, documents=1), shop, tmp_path / "few")
    assert "Dev is measured on a fixed sample" in capsys.readouterr().err
    first = log_of(tmp_path / "few")[0]
    assert first["event"] == "data"
    assert first["dev"]["zero_shot"].startswith("1 of ")
    dev = [line for line in log_of(tmp_path / "few") if line["event"] == "dev"]
    assert [line["step"] for line in dev] == [0, 2, 4]


def test_dev_can_be_off(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(recipe(every="off"), shop, tmp_path / "run")
    assert model.metadata["step"] == 4
    assert model.metadata["dev_ndcg@10"] is None
    assert "dev" not in {line["event"] for line in log_of(tmp_path / "run")}
    assert "the last model is kept" in capsys.readouterr().err


def without_gain(shop: RankingDataset, splits: tuple[str, ...]) -> RankingDataset:
    """The shop with scores of 0 for all dev queries of these splits, on a scale from 0."""
    ids = pl.concat([shop.view(split, "dev").queries["query_id"] for split in splits])
    score = pl.when(pl.col("query_id").is_in(ids.implode())).then(0.0).otherwise("score")
    return replace(
        shop,
        judgments=shop.judgments.with_columns(score=score),
        score_scale=ScoreScale(0, shop.score_scale.maximum, shop.score_scale.relevant),
    )


def test_a_split_where_no_dev_query_has_gain_is_left_out_and_noted(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mean over splits was NaN, against which no later model is better."""
    data = without_gain(shop, ("novel_query", "zero_shot"))
    model = train(recipe(), data, tmp_path / "run")
    assert "No dev query in novel_query, zero_shot has a document of positive gain" in (
        capsys.readouterr().err
    )
    dev = [line for line in log_of(tmp_path / "run") if line["event"] == "dev"]
    assert [set(line["splits"]) for line in dev] == [{"in_domain", "novel_document"}] * 3
    values = [line["ndcg@10"] for line in dev]
    assert model.metadata["dev_ndcg@10"] == max(values)
    assert model.metadata["step"] == dev[values.index(max(values))]["step"]


def test_where_no_dev_query_has_gain_the_last_model_is_kept(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(recipe(), without_gain(shop, SPLITS), tmp_path / "run")
    assert (model.metadata["step"], model.metadata["dev_ndcg@10"]) == (4, None)
    said = capsys.readouterr().err
    assert "No dev query has a document of positive gain: the last model is kept." in said


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("every", -1, "'off' or a whole number from 0, found -1"),
        ("every", "never", "'off' or a whole number from 0, found 'never'"),
        ("documents", 0, "'all' or a whole number from 1, found 0"),
        ("queries", 1.5, "'all' or a whole number from 1, found 1.5"),
    ],
)
def test_limits_out_of_range(key: str, value: Any, expected: str) -> None:
    with pytest.raises(RecipeError, match=rf"dev\.{key}: expected {expected}"):
        recipe(**{key: value})
