"""Commands open any pretrained model, with fields of the data set, and reach for no network."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from foreign_models import dual_folder
from rankfield.cli.main import main
from rankfield.encoders import RankingModel
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import InputError
from rankfield.evaluation import Results, evaluate
from rankfield.schema import Field, RankingDataset
from ranking_shop import ranking_shop


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection: a model in a folder asks nobody."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """The shop, with a second field of the documents that is text too."""
    dataset = ranking_shop(documents=40)
    documents = dataset.documents.with_columns(colour=pl.col("title").str.split(" ").list.get(0))
    fields = (*dataset.document_fields, Field("colour", "text", 0.5))
    whole = replace(dataset, documents=documents, document_fields=fields)
    return whole.save(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with quiet_transformers():
        yield dual_folder(tmp_path_factory.mktemp("models") / "clip", "CLIP")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_a_pretrained_model_is_evaluated_without_a_recipe(
    tmp_path: Path, data: RankingDataset, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "clip.json", tmp_path / "other.json"
    command = ("evaluate", clip, data.root, "--split", "zero_shot", "--device", "cpu")
    assert run(monkeypatch, *command, "--out", out) == 0
    found = Results.load(out)
    model = RankingModel.from_pretrained(clip, dataset=data, device="cpu")
    assert model.query_fields == data.query_fields
    assert model.document_fields == data.document_fields
    assert found.model == "clip"
    assert found.splits["zero_shot"] == evaluate(model, data).splits["zero_shot"]
    assert found.metadata["pretrained"] == "clip"
    fields = ("--document-field", "title=2", "--document-field", "colour")
    options = (*fields, "--query-prefix", "red ", "--out", other)
    assert run(monkeypatch, *command, *options) == 0
    changed = Results.load(other)
    weighted = RankingModel.from_pretrained(
        clip,
        query_fields=data.query_fields,
        document_fields=[Field("title", "text", 2.0), Field("colour", "text", 0.5)],
        query_prefix="red ",
        device="cpu",
    )
    assert changed.splits["zero_shot"] == evaluate(weighted, data).splits["zero_shot"]
    assert changed.metadata["fingerprint"] != found.metadata["fingerprint"]


def test_search_and_mine_open_the_same(
    tmp_path: Path,
    data: RankingDataset,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    search = ("search", clip, data.root, "red mug", "-k", "3", "--device", "cpu")
    for _ in range(2):
        assert run(monkeypatch, *search, "--cache", tmp_path / "cache") == 0
    assert capsys.readouterr().out.count("rank") == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert run(monkeypatch, *search, "--cache", tmp_path / "cache", "--query-prefix", "a ") == 0
    assert len(list((tmp_path / "cache").iterdir())) == 2
    mined = tmp_path / "negatives.parquet"
    assert run(monkeypatch, "mine", clip, data.root, "--out", mined, "--device", "cpu") == 0
    assert pl.read_parquet(mined).height > 0


def test_options_that_do_not_fit(
    data: RankingDataset,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for options, message in (
        (["--document-field", "titel"], "Did you mean 'title'?"),
        (["--document-field", "title=0"], "expected a weight above 0, found '0'"),
        (["--document-field", "title=much"], "expected a weight above 0, found 'much'"),
        (["--pooling", "mean"], "pools by itself, found the pooling 'mean'"),
        (["--revision", "main"], "has no revisions, found 'main'"),
        (["--baseline", "bm25"], "bm25 needs no model"),
    ):
        assert run(monkeypatch, "evaluate", clip, data.root, "--device", "cpu", *options) == 2
        assert message in capsys.readouterr().err


def test_what_is_no_pretrained_model(
    tmp_path: Path,
    data: RankingDataset,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved = tmp_path / "saved"
    RankingModel.from_pretrained(clip, dataset=data).save(saved)
    adapters, run_folder = tmp_path / "adapters", tmp_path / "run"
    for folder, name in ((adapters, "adapter_config.json"), (run_folder, "recipe.toml")):
        folder.mkdir()
        (folder / name).write_text("{}")
    for arguments, message in (
        ((saved, data.root, "--pooling", "cls"), "is a model that rankfield saved"),
        ((data.root, data.root), "is a data set"),
        ((adapters, data.root), "holds adapters of peft alone. Merge them"),
        ((run_folder, data.root), "is the folder of a training run. Give its folder `model`"),
        (("package:nowhere", data.root), "would import and run code of this machine"),
        (("package:nowhere", data.root, "--allow-code"), "not an installed package"),
    ):
        assert run(monkeypatch, "evaluate", *arguments, "--device", "cpu") == 2
        assert message in capsys.readouterr().err


def test_a_revision_and_a_package(
    tmp_path: Path, data: RankingDataset, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--clip"
    shutil.copytree(clip, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "v2").write_text("abc")
    model = RankingModel.from_pretrained("some/clip", revision="v2")
    assert model.name == "clip"
    (tmp_path / "held.py").write_text(f"def get_model_path():\n    return {str(clip)!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    packaged = RankingModel.from_pretrained("package:held", allow_code=True)
    assert packaged.name == "held"
    assert (packaged.encode_queries(["mug"]) == model.encode_queries(["mug"])).all()


def test_a_data_set_without_a_field_that_the_model_takes(data: RankingDataset, clip: Path) -> None:
    from rankfield.encoders.small import small_vision_tower

    folder = clip.parent / "vision"
    folder.mkdir()
    small_vision_tower(image_size=16, width=32).save(folder)
    with pytest.raises(InputError, match=r"takes image, found the query fields \w+ \(text\)"):
        RankingModel.from_pretrained(folder, dataset=data)
