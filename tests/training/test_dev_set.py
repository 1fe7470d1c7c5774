"""What a run measures on the way, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rankfield.errors import RecipeError
from rankfield.schema import RankingDataset
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
    assert [line["step"] for line in dev] == [2, 4]


def test_dev_can_be_off(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(recipe(every="off"), shop, tmp_path / "run")
    assert model.made["step"] == 4
    assert model.made["dev_ndcg@10"] is None
    assert "dev" not in {line["event"] for line in log_of(tmp_path / "run")}
    assert "the last model is kept" in capsys.readouterr().err


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
