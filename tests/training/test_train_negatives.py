"""Training on hard negatives as a whole: from a file, mined anew, interrupted, in two processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.errors import DataError, RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training.mining import mine
from rankfield.training.mining_settings import MineSettings
from rankfield.training.negatives import load_negatives, save_negatives
from training_data import tiny_shop
from training_runs import interrupt_in


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def recipe(negatives: dict[str, Any], **sections: Any) -> Recipe:
    batch = sections.pop("batch", {})
    mined = {"relative_margin": -1.0, "near_duplicate": 2.0}
    return parse_recipe(
        {
            "log_every": 5,
            "trackers": [],
            "encoder": {
                "dimension": 16,
                "text_width": 32,
                "image_size": 24,
                "image_width": 32,
                "max_tokens": 12,
            },
            "batch": {"size": 16} | batch,
            "negatives": (mined if negatives.get("refresh_every") else {}) | negatives,
            "optimizer": {"steps": 12, "learning_rate": 3e-3},
            "dev": {"every": 0},
            **sections,
        }
    )


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(RankingModel.load(folder / "model").state_dict())


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def same(one: Path, other: Path) -> bool:
    first, second = weights_of(one), weights_of(other)
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_file_of_negatives_changes_the_training(shop: RankingDataset, tmp_path: Path) -> None:
    model = build_model(recipe({}), shop)
    settings = MineSettings(relative_margin=-1.0, near_duplicate=2.0)
    save_negatives(mine(model, shop, settings), tmp_path / "negatives.parquet")
    with_file = recipe({"file": str(tmp_path / "negatives.parquet"), "per_query": 2})
    train(with_file, shop, tmp_path / "one")
    train(with_file, shop, tmp_path / "two")
    train(recipe({}), shop, tmp_path / "without")
    assert same(tmp_path / "one", tmp_path / "two")
    assert not same(tmp_path / "one", tmp_path / "without")
    with pytest.raises(DataError, match="there is no such file"):
        train(recipe({"file": str(tmp_path / "none.parquet")}), shop, tmp_path / "three")
    assert not (tmp_path / "three").exists()


@pytest.mark.parametrize(
    ("stop", "sections"),
    [
        (4, {}),
        (5, {"batch": {"similar_queries": 3, "documents_per_query": 4, "more_queries": 5}}),
        (7, {"data": {"workers": 2}, "average": {"ema": 0.8}, "loss": {"per_field": 0.5}}),
    ],
)
def test_negatives_mined_anew_survive_an_interruption(
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
    sections: dict[str, Any],
) -> None:
    wanted = recipe({"refresh_every": 5}, **sections)
    train(wanted, shop, tmp_path / "whole")
    names = [path.name for path in sorted((tmp_path / "whole" / "negatives").iterdir())]
    assert names == ["step-000000.parquet", "step-000005.parquet", "step-000010.parquet"]
    first, last = (
        load_negatives(tmp_path / "whole" / "negatives" / names[i], shop) for i in (0, 2)
    )
    assert not first.equals(last)
    interrupt_in(stop, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, shop, tmp_path / "cut")
    monkeypatch.undo()
    train(wanted, shop, tmp_path / "cut", resume=True)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_file_serves_until_the_first_refresh(shop: RankingDataset, tmp_path: Path) -> None:
    path = tmp_path / "negatives.parquet"
    settings = MineSettings(per_query=1, relative_margin=-1.0, near_duplicate=2.0)
    save_negatives(mine(build_model(recipe({}), shop), shop, settings), path)
    steps = {"optimizer": {"steps": 7}}
    for name, refresh in (("file", 0), ("both", 5)):
        wanted = recipe({"file": str(path), "refresh_every": refresh}, **steps)
        train(wanted.model_copy(update={"log_every": 1}), shop, tmp_path / name)
    assert [p.name for p in (tmp_path / "both" / "negatives").iterdir()] == ["step-000005.parquet"]
    file, both = (
        [line["loss"] for line in log_of(tmp_path / name) if line["event"] == "train"]
        for name in ("file", "both")
    )
    assert file[:5] == both[:5]
    assert file[5:] != both[5:]


def test_workers_read_the_batches_of_the_training_process(
    shop: RankingDataset, tmp_path: Path
) -> None:
    for workers in (0, 2):
        data = {"workers": workers, "image_cache_mib": 0, "image_disk_cache_mib": 0}
        train(recipe({"refresh_every": 5}, data=data), shop, tmp_path / str(workers))
    assert same(tmp_path / "0", tmp_path / "2")


def test_negatives_need_a_loss_that_knows_the_judgments() -> None:
    with pytest.raises(RecipeError, match="hard negatives need a loss"):
        recipe({"refresh_every": 5}, loss={"target": "pair"})
