"""A run goes on only with what it began with: files under the same path count by their content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield.errors import ModelError
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.training import Recipe, build_model, mine, parse_recipe, save_negatives, train
from rankfield.training.mining_settings import MineSettings
from rankfield.training.run_inputs import run_inputs
from tiny_models import tiny_clip
from training_data import tiny_shop
from training_runs import former_checkpoint, interrupt_in

LOOSE = {"relative_margin": -1.0, "near_duplicate": 2.0}


def recipe(**sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 5,
        "trackers": [],
        "encoder": {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32},
        "batch": {"size": 8},
        "optimizer": {"steps": 6},
        "dev": {"every": "off"},
    }
    return parse_recipe(values | sections, allow_code=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """A shop whose images are files."""
    made = tiny_shop(tmp_path_factory.mktemp("made") / "tiny", copies=3)
    folder = tmp_path_factory.mktemp("data")
    names = []
    for row, data in enumerate(made.documents["image"]):
        names.append(None if data is None else f"images/{row}.png")
        if data is not None:
            (folder / "images").mkdir(exist_ok=True)
            (folder / f"images/{row}.png").write_bytes(data)
    documents = made.documents.with_columns(image=pl.Series(names, dtype=pl.String))
    return replace(made, documents=documents, root=folder).save(folder / "shop")


def text(shop: RankingDataset) -> dict[str, Any]:
    """Fields of a recipe without images."""
    return {"document_weights": {"title": 1.0}}


@dataclass
class Runs:
    """Runs in a folder, cut after three steps."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def cut(self, wanted: Recipe, data: RankingDataset) -> None:
        interrupt_in(3, self.monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train(wanted, data, self.folder / "run")
        self.monkeypatch.undo()

    def go_on(self, wanted: Recipe, data: RankingDataset) -> None:
        assert train(wanted, data, self.folder / "run", resume=True).metadata["step"] == 6

    def refuse(self, wanted: Recipe, data: RankingDataset, message: str) -> None:
        with pytest.raises(ModelError, match=message):
            train(wanted, data, self.folder / "run", resume=True)

    def notice(
        self, wanted: Recipe, data: RankingDataset, path: Path, content: bytes, *, message: str
    ) -> None:
        """A cut run is refused while a file has another content, and goes on afterwards."""
        self.cut(wanted, data)
        before = path.read_bytes()
        assert before != content
        path.write_bytes(content)
        self.refuse(wanted, data, message)
        path.write_bytes(before)
        self.go_on(wanted, data)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        yield Runs(tmp_path, patch)


def test_negatives(shop: RankingDataset, tmp_path: Path, runs: Runs) -> None:
    model = build_model(recipe(data=text(shop)), shop).eval()
    for name, count in (("one", 3), ("other", 1)):
        settings = MineSettings(per_query=count, relative_margin=None, near_duplicate=2.0)
        save_negatives(mine(model, shop, settings), tmp_path / f"{name}.parquet")
    wanted = recipe(data=text(shop), negatives={"file": str(tmp_path / "one.parquet")})
    other = (tmp_path / "other.parquet").read_bytes()
    path = tmp_path / "one.parquet"
    message = r"negatives.file .*one.parquet: is not what it was"
    runs.notice(wanted, shop, path, other, message=message)


def test_further_judgments(shop: RankingDataset, tmp_path: Path, runs: Runs) -> None:
    path = tmp_path / "teacher.csv"
    shop.training_judgments().select("query_id", "doc_id", "score").write_csv(path)
    wanted = recipe(data=text(shop), judgments=[{"path": str(path)}])
    other = path.read_bytes().replace(b"3.5", b"0.5")
    message = r"judgments .*teacher.csv: is not what it was"
    runs.notice(wanted, shop, path, other, message=message)


def test_a_weight_function_of_ones_own(
    shop: RankingDataset, tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights_of_inputs.py"
    path.write_text("def even(scores, scale):\n    return scores * 0 + 1\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("weights_of_inputs")
    wanted = recipe(data=text(shop), loss={"weight": "weights_of_inputs:even"})
    message = r"loss.weight .*weights_of_inputs.py: is not what it was"
    other = b"def even(scores, scale):\n    return scores\n"
    runs.notice(wanted, shop, path, other, message=message)


def test_the_model_that_training_starts_from(
    shop: RankingDataset, tmp_path: Path, runs: Runs
) -> None:
    folder = tiny_clip(tmp_path / "clip")
    encoder = {"kind": "transformers", "model": str(folder)}
    wanted = recipe(encoder=encoder, data=text(shop))
    path = folder / "tokenizer_config.json"
    other = json.dumps(json.loads(path.read_text("utf-8")) | {"x_note": 1}).encode()
    message = r"encoder.model .*clip: is not what it was"
    runs.notice(wanted, shop, path, other, message=message)


def test_an_image(shop: RankingDataset, tmp_path: Path, runs: Runs) -> None:
    own = shop.save(tmp_path / "own")
    assert own.root is not None
    path, other = (own.root / "images" / f"{row}.png" for row in (1, 2))
    content = other.read_bytes()
    path.write_bytes(bytes(path.read_bytes()))
    shutil.copy(path, tmp_path / "kept")
    path.unlink()  # linked with the shop's
    shutil.copy(tmp_path / "kept", path)
    message = "images of the data set: is not what it was"
    runs.notice(recipe(), own, path, content, message=message)


def test_a_checkpoint_that_says_pictures(shop: RankingDataset, runs: Runs) -> None:
    runs.cut(recipe(), shop)
    path = former_checkpoint(runs.folder / "run") / "progress.json"
    progress = json.loads(path.read_text("utf-8"))
    found = progress["inputs"].pop("images of the data set")
    progress["inputs"]["pictures of the data set"] = "0" * 16
    path.write_text(json.dumps(progress), "utf-8")
    runs.refuse(recipe(), shop, "images of the data set: is not what it was")
    progress["inputs"]["pictures of the data set"] = found
    path.write_text(json.dumps(progress), "utf-8")
    runs.go_on(recipe(), shop)


def test_images_count_by_size_where_they_are_many(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shop.save(tmp_path / "own")
    assert own.root is not None
    path = own.root / "images" / "1.png"
    data = path.read_bytes()
    path.unlink()
    key = "images of the data set"
    found = set()
    for content in (data, data[:-1] + b"x", data + b"x"):
        path.write_bytes(content)
        found.add(run_inputs(recipe(), own)[key])
    assert len(found) == 3
    monkeypatch.setattr("rankfield.training.run_inputs._READ_MIB", 0)
    for content, known in ((data, False), (data[:-1] + b"x", True), (data + b"x", False)):
        path.write_bytes(content)
        print_of = run_inputs(recipe(), own)[key]
        assert (print_of in found) == known
        found.add(print_of)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("scale", "score scale of the data set: is not what it was"),
        ("judgments", "trained on other data"),
        ("title", "trained on other data"),
    ],
)
def test_the_data_set(
    shop: RankingDataset,
    runs: Runs,
    changed: str,
    message: str,
) -> None:
    other = {
        "scale": replace(shop, score_scale=ScoreScale(0, 4, 2)),
        "judgments": shop.with_tables(judgments=shop.judgments.head(-1)),
        "title": shop.with_tables(
            documents=shop.documents.with_columns(title=pl.lit("one title for all"))
        ),
    }[changed]
    wanted = recipe(data=text(shop))
    runs.cut(wanted, shop)
    runs.refuse(wanted, other, message)
    runs.go_on(wanted, shop)


def test_what_the_run_mined_itself(shop: RankingDataset, tmp_path: Path, runs: Runs) -> None:
    wanted = recipe(data=text(shop), negatives=LOOSE | {"refresh_every": 4})
    path = tmp_path / "run" / "negatives" / "step-000000.parquet"
    runs.cut(wanted, shop)
    before = path.read_bytes()
    pl.read_parquet(path).head(5).write_parquet(path)
    runs.go_on(wanted, shop)  # the checkpoint has its own copy
    assert path.read_bytes() == before


def test_what_a_run_of_an_earlier_version_mined(
    shop: RankingDataset, tmp_path: Path, runs: Runs
) -> None:
    wanted = recipe(data=text(shop), negatives=LOOSE | {"refresh_every": 4})
    path = tmp_path / "run" / "negatives" / "step-000000.parquet"
    runs.cut(wanted, shop)
    former_checkpoint(tmp_path / "run")
    before = path.read_bytes()
    pl.read_parquet(path).head(5).write_parquet(path)
    runs.refuse(wanted, shop, r"step-000000.parquet: is not what it was")
    path.write_bytes(before)
    runs.go_on(wanted, shop)


def test_checkpoints_of_earlier_versions_go_on(
    shop: RankingDataset, tmp_path: Path, runs: Runs
) -> None:
    wanted = recipe(data=text(shop))
    runs.cut(wanted, shop)
    path = former_checkpoint(tmp_path / "run") / "progress.json"
    progress = json.loads(path.read_text("utf-8"))
    del progress["inputs"], progress["mined"]
    path.write_text(json.dumps(progress), "utf-8")
    runs.go_on(wanted, shop)


def test_a_missing_file_is_left_to_its_reader(shop: RankingDataset, tmp_path: Path) -> None:
    wanted = recipe(negatives={"file": str(tmp_path / "none.parquet")})
    assert run_inputs(wanted, shop)[f"negatives.file {tmp_path / 'none.parquet'}"] == "unreadable"
