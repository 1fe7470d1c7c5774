from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel, small_encoder
from rankfield.schema import RankingDataset
from rankfield.training import load_recipe
from rankfield.training import trainer as trainer_module
from training_data import tiny_shop

RECIPE = """
log_every = 2
trackers = []
[data]
dataset = "shop"
[encoder]
dimension = 16
text_width = 32
text_layers = 1
image_size = 24
image_width = 32
[batch]
size = 16
[optimizer]
steps = 4
[dev]
every = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and an untrained model."""
    folder = tmp_path_factory.mktemp("cli")
    shop = tiny_shop(folder / "shop", copies=4)
    torch.manual_seed(0)
    texts = shop.documents["title"].drop_nulls()
    encoder = small_encoder(
        texts, ["text", "image"], dimension=16, width=32, image_size=24, image_width=32
    )
    RankingModel(encoder, shop.query_fields, shop.document_fields).save(folder / "model")
    (folder / "photo.png").write_bytes(shop.documents["image"].drop_nulls()[0])
    return folder


class Command:
    """`rankfield …` in this process: its exit status, output and errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        monkeypatch.setenv("COLUMNS", "200")

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        output = self.capsys.readouterr()
        return int(caught.value.code or 0), output.out, output.err

    def refused(self, *arguments: object) -> str:
        status, _, error = self(*arguments)
        assert status == 2
        assert error.startswith("error: ")
        return error


@pytest.fixture
def rankfield(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def recipe(folder: Path) -> Path:
    path = folder / "gcl.toml"
    path.write_text(RECIPE)
    return path


# ---- train -------------------------------------------------------------------------------------


def test_train_writes_a_run(rankfield: Command, folder: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    status, shown, _ = rankfield("train", recipe, "--out", out, "--set", "name=tiny")
    assert status == 0
    assert f"{out / 'model'}: step " in shown
    assert "dev nDCG@10 0." in shown
    assert f"Next: rankfield evaluate {out / 'model'} {folder / 'shop'}" in shown
    assert RankingModel.load(out / "model").name == "tiny"
    assert load_recipe(out / "recipe.toml").name == "tiny"
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "train"] == [2, 4]
    assert [line["step"] for line in lines if line["event"] == "dev"] == [0, 2, 4]

    assert "already exists" in rankfield.refused("train", recipe, "--out", out)


def test_what_comes_next_allows_the_code_of_a_tower_of_ones_own(
    rankfield: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
from torch import nn
from rankfield.encoders import ImageTransform

def vision():
    module = nn.Sequential(nn.Conv2d(3, 5, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return module, 5, ImageTransform(8, 8, "stretch")
"""
    (tmp_path / "towers_of_a_test.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        f"""
[data]
dataset = "{folder / "shop"}"
[encoder]
kind = "composed"
dimension = 8
vision_model = "towers_of_a_test:vision"
[batch]
size = 4
[optimizer]
steps = 2
""",
        "utf-8",
    )
    status, shown, _ = rankfield("train", recipe, "--out", tmp_path / "run", "--allow-code")
    assert status == 0
    (line,) = (line for line in shown.splitlines() if line.startswith("Next: "))
    assert line.endswith(" --allow-code")
    assert rankfield(*shlex.split(line.removeprefix("Next: "))[1:])[0] == 0


def test_train_stops_and_goes_on(
    rankfield: Command, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "my run"
    original = trainer_module._Trainer._step

    def step(self: Any, number: int, raw: Any) -> Any:
        if number == 1:
            signal.raise_signal(signal.SIGINT)
        return original(self, number, raw)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module._Trainer, "_step", step)
        status, _, error = rankfield("train", recipe, "--out", out, "--set", "seed=3")
    assert status == 130
    assert f"rankfield train '{out}/recipe.toml' --out '{out}' --resume" in error
    assert (out / "checkpoints" / "step-000002" / "progress.json").is_file()

    assert "another recipe: 'seed' was 3" in rankfield.refused(
        "train", recipe, "--out", out, "--resume"
    )
    status, shown, _ = rankfield("train", out / "recipe.toml", "--out", out, "--resume")
    assert status == 0
    assert "Next: " in shown
    assert RankingModel.load(out / "model").metadata["seed"] == 3


def test_an_interrupt_before_the_first_checkpoint_promises_nothing(
    rankfield: Command, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer_module._Trainer, "run", interrupted)
    status, _, error = rankfield("train", recipe, "--out", tmp_path / "run")
    assert status == 130
    assert "--resume" not in error


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("[optimizer]\nstep = 3", [], "Did you mean 'steps'?"),
        ("seed = ", [], "not valid TOML"),
        ("seed = 1", [], "gcl.toml, data.dataset: names no data set. Add it, or --set data.datas"),
        (RECIPE, ["--set", "optimizer.steps=0"], "greater than or equal to 1, found 0"),
        (RECIPE, ["--set", "nonsense"], "expected section.key=value"),
        (RECIPE, ["--set", "data.dataset=nowhere"], "nowhere: there is no such folder"),
        (RECIPE, ["--set", "data.document_weights.photo=1"], "no document field 'photo'"),
        (RECIPE, ["--set", "encoder={kind='transformers'}"], "needs a model"),
        (RECIPE, ["--set", "loss.weight=invers"], "Did you mean 'inverse'?"),
        (RECIPE, ["--resume"], "there is no checkpoint to resume from"),
    ],
)
def test_recipes_that_are_refused(
    content: str,
    options: list[str],
    message: str,
    *,
    rankfield: Command,
    folder: Path,
    tmp_path: Path,
) -> None:
    recipe = tmp_path / "gcl.toml"
    recipe.write_text(content.replace('"shop"', f"'{folder / 'shop'}'"))
    assert message in rankfield.refused("train", recipe, "--out", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_is_not_there(rankfield: Command, tmp_path: Path) -> None:
    error = rankfield.refused("train", tmp_path / "no.toml", "--out", tmp_path / "run")
    assert "there is no such file. `rankfield recipe` prints one" in error


# ---- recipe ------------------------------------------------------------------------------------


def test_a_printed_recipe_trains(rankfield: Command, folder: Path, tmp_path: Path) -> None:
    status, text, _ = rankfield("recipe", folder / "shop", "--weight", "log")
    assert status == 0
    path = tmp_path / "printed.toml"
    path.write_text(text)
    assert load_recipe(path).loss.weight == "log"
    small = ["encoder.text_width=32", "encoder.image_size=24", "encoder.image_width=32"]
    options = [
        part for value in (*small, "optimizer.steps=2", "trackers=[]") for part in ("--set", value)
    ]
    assert rankfield("train", path, "--out", tmp_path / "run", *options)[0] == 0


def test_recipes_that_cannot_be_printed(rankfield: Command, folder: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in rankfield.refused("recipe", tmp_path / "none")
    assert "Did you mean 'log'?" in rankfield.refused("recipe", folder / "shop", "--weight", "lg")


# ---- search ------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [["red ball"], ["--image", "PHOTO"], ["red", "--image", "PHOTO"]])
def test_search_prints_ranks_scores_and_titles(
    rankfield: Command, folder: Path, query: list[str]
) -> None:
    filled = [str(folder / "photo.png") if part == "PHOTO" else part for part in query]
    status, shown, _ = rankfield("search", folder / "model", folder / "shop", *filled, "-k", "3")
    assert status == 0
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["rank", "similarity", "doc_id", "title"]
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    titles = dict(RankingDataset.load(folder / "shop").documents.select("doc_id", "title").rows())
    scores = [float(line[1]) for line in lines[1:]]
    assert scores == sorted(scores, reverse=True)
    for line in lines[1:]:
        assert " ".join(line[3:]) == (titles[line[2]] or "")


def test_titles_with_brackets_are_shown_as_they_are(
    rankfield: Command, folder: Path, tmp_path: Path
) -> None:
    shop = RankingDataset.load(folder / "shop")
    title = "[red]ball[/] [/b] [12 cm] :smile:"
    changed = shop.with_tables(documents=shop.documents.with_columns(title=pl.lit(title)))
    changed.save(tmp_path / "data")
    status, shown, _ = rankfield("search", folder / "model", tmp_path / "data", "ball", "-k", "2")
    assert status == 0
    assert shown.count(title) == 2


def test_what_the_system_refuses_is_a_message(
    rankfield: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(RankingDataset, "load", refuse)
    assert rankfield.refused("search", folder / "model", folder / "shop", "red") == (
        "error: secret: Permission denied\n"
    )


def test_searches_that_are_refused(rankfield: Command, folder: Path, tmp_path: Path) -> None:
    model, data = folder / "model", folder / "shop"
    assert "give a query text, an image, or both" in rankfield.refused("search", model, data)
    assert "has neither config.json" in rankfield.refused("search", tmp_path, data, "red")
    assert "there is no such folder" in rankfield.refused("search", model, tmp_path / "no", "red")
    missing = rankfield.refused("search", model, data, "--image", tmp_path / "no.png")
    assert "no.png: no such image. Give another image." in missing
    (tmp_path / "text.png").write_text("text")
    wrong = rankfield.refused("search", model, data, "--image", tmp_path / "text.png")
    assert "not an image" in wrong


# ---- weights -----------------------------------------------------------------------------------


def test_weights_table(rankfield: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, shown, _ = rankfield("weights", folder / "shop", "--weight", "constant")
    assert status == 0
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["score", "pairs", "constant"]
    scores = RankingDataset.load(folder / "shop").training_judgments()["score"]
    counts = dict(scores.value_counts().rows())
    assert [float(line[0]) for line in lines[1:]] == sorted(counts, reverse=True)
    for score, pairs, weight, share in lines[1:]:
        assert int(pairs.replace(",", "")) == counts[float(score)]
        assert float(weight) == 1.0
        assert int(share.rstrip("%")) == round(100 * counts[float(score)] / len(scores))
    monkeypatch.setenv("COLUMNS", "80")
    shown = rankfield("weights", folder / "shop")[1]
    for name in ("linear", "inverse", "_sqrt", "log", "exponential"):
        assert name in shown.split()
    assert "…" not in shown
    assert len(shown.splitlines()) == len(counts) + 2


def test_weights_plot(rankfield: Command, folder: Path, tmp_path: Path) -> None:
    for name in ("weights.svg", "weights.png"):
        status, shown, _ = rankfield("weights", folder / "shop", "--out", tmp_path / name)
        assert status == 0
        assert str(tmp_path / name) in shown
    assert ElementTree.parse(tmp_path / "weights.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")


def test_weights_that_are_refused(rankfield: Command, folder: Path, tmp_path: Path) -> None:
    shop = folder / "shop"
    unknown = rankfield.refused("weights", shop, "--weight", "invers")
    assert "Did you mean 'inverse'?" in unknown
    assert "points" in rankfield.refused("weights", shop, "--weight", "piecewise")
    code = ("weights", shop, "--weight", "no.such:thing")
    assert "--allow-code" in rankfield.refused(*code)
    assert "cannot be imported" in rankfield.refused(*code, "--allow-code")
    assert ".svg" in rankfield.refused("weights", shop, "--out", tmp_path / "plot.txt")
    assert list(tmp_path.iterdir()) == []
