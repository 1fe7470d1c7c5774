"""`rankfield folds`: every query tested once by a model that did not see it, resumed, pooled."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from command_line import run
from rankfield.evaluation import Results, compare
from rankfield.schema import RankingDataset
from ranking_shop import ranking_shop
from training_runs import interrupt_in

RECIPE = """
name = "tiny"
[encoder]
dimension = 16
text_width = 32
text_layers = 1
[batch]
size = 8
[optimizer]
steps = 3
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RankingDataset:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(RECIPE, "utf-8")
    return ranking_shop(split=False).save(tmp_path / "shop")


def test_folds_train_test_and_pool(
    shop: RankingDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("folds", "tiny.toml", "shop", "--folds", 2, "--out", "out", "--label", "tiny")
    with monkeypatch.context() as patch:
        interrupt_in(2, patch)
        assert run(*words) == 130
    assert "go on with: rankfield folds tiny.toml shop" in capsys.readouterr().err
    assert not Path("out/results.json").exists()
    assert run(*words) == 0
    shown = capsys.readouterr().out
    assert "nDCG@10 of each fold: " in shown
    parts = [Results.load(Path("out") / f"fold-{i}" / "results.json") for i in range(2)]
    pooled = Results.load("out/results.json")
    ids = [set(part.queries["query_id"]) for part in parts]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == set(shop.queries["query_id"])
    for number in range(2):
        data = RankingDataset.load(Path("out") / f"fold-{number}" / "data")
        trained = data.judgments.filter(split="in_domain")["query_id"]
        assert not set(trained) & ids[number]
        assert data.documents["seen"].all()
        recipe = (Path("out") / f"fold-{number}" / "run" / "recipe.toml").read_text("utf-8")
        assert f"fold-{number}/data" in recipe
    mean = pl.concat(part.queries for part in parts)["nDCG@10"].mean()
    assert pooled.splits["all"]["nDCG@10"].value == pytest.approx(mean)
    assert (pooled.label, pooled.subset, list(pooled.splits)) == ("tiny", "all", ["all"])
    assert pooled.sizes["all"].documents == shop.documents.height
    assert pooled.metadata["folds"]["queries"] == [p.queries["nDCG@10"].count() for p in parts]
    # They compare with a system that needs no training, on the data set itself.
    assert run("evaluate", "shop", "--baseline", "bm25", "--out", "bm25.json") == 0
    comparison = compare([Results.load("bm25.json"), pooled])
    assert comparison.splits == ["all"]
    assert run("report", "bm25.json", "out/results.json", "--out", "r.md") == 0
    assert run(*words) == 2
    assert "already exists" in capsys.readouterr().err


def test_another_run_s_folder_is_refused(
    shop: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.root
    words = ("folds", "tiny.toml", "shop", "--out", "out")
    Path("out").mkdir()
    assert run(*words) == 2
    assert "already exists and is not an unfinished run" in capsys.readouterr().err
    Path("out").rmdir()
    assert run(*words, "--folds", 21) == 2
    assert "into 21 folds" in capsys.readouterr().err
    settings = json.loads(Path("out/folds.json").read_text("utf-8"))
    assert (settings["folds"], settings["seed"]) == (21, 0)
    assert run(*words, "--folds", 2, "--seed", 1) == 2
    assert "already exists and is not an unfinished run" in capsys.readouterr().err
    assert run(*words, "--metric", "nDCG@11") == 2
