"""Which checkpoints stay, which one a run goes on from, and what is said of a damaged one."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from rankfield.errors import ModelError, OutputError
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, parse_recipe, train
from rankfield.training import run_checkpoints as run_checkpoints_module
from rankfield.training.checkpoint_folders import (
    checkpoints,
    found_checkpoint,
    next_checkpoint,
    prune,
    set_aside,
)
from rankfield.training.checkpoint_writer import CheckpointWriter
from rankfield.training.manifest import SEAL, damage, write_manifest
from training_data import tiny_shop
from training_runs import all_of_log, former_checkpoint, last_checkpoint, log_of

ONE = SimpleNamespace(is_main_process=True, num_processes=1, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 1,
        "trackers": [],
        "checkpoint_every": 2,
        "encoder": {"dimension": 8, "text_width": 32, "text_layers": 1, "max_tokens": 12},
        "batch": {"size": 8},
        "optimizer": {"steps": 8, "learning_rate": 3e-3},
        "dev": {"every": 3},
        "average": {"ema": 0.5},
    }
    return parse_recipe(values | changes)


def written(out: Path, *steps: int) -> list[Path]:
    paths = []
    for step in steps:
        path = next_checkpoint(out, step)
        path.mkdir(parents=True)
        (path / "model.safetensors").write_bytes(bytes(step % 256 for _ in range(100)))
        write_manifest(path)
        paths.append(path)
    return paths


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# ---- folders -----------------------------------------------------------------------------------


def test_the_newest_stay(tmp_path: Path) -> None:
    written(tmp_path, 999_999, 1_000_000, 400, 400)
    names = [path.name for path in checkpoints(tmp_path)]
    assert names == ["step-1000000", "step-999999", "step-000400-2", "step-000400"]
    (tmp_path / "checkpoints" / ".step-000500.left-over").mkdir()
    prune(tmp_path, 3)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["step-000400-2", "step-1000000", "step-999999"]


def test_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    old, new, newest = written(tmp_path, 2, 4, 6)
    assert found_checkpoint(tmp_path, ONE).path == newest
    (newest / "model.safetensors").write_bytes(b"")
    (new / SEAL).unlink()
    found = found_checkpoint(tmp_path, ONE)
    assert found.path == old
    assert list(found.damaged) == [newest, new]
    assert set_aside(newest).name == "damaged-step-000006"
    (again,) = written(tmp_path, 6)
    assert set_aside(again).name == "damaged-step-000006-2"
    assert checkpoints(tmp_path) == [new, old]


def test_none_is_whole(tmp_path: Path) -> None:
    for path in written(tmp_path, 2, 4):
        (path / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=r"step-000004: model.safetensors is missing; step-000002: .*Put the files"
    ):
        found_checkpoint(tmp_path, ONE)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "progress.json").touch()  # of an earlier version
    assert found_checkpoint(tmp_path, ONE).path == tmp_path / "checkpoint"


def test_a_write_that_fails_leaves_those_before(tmp_path: Path) -> None:
    before = written(tmp_path, 2, 4)
    writer = CheckpointWriter(tmp_path, 1)

    def full(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    for beside in (False, True):
        with nullcontext() if beside else pytest.raises(OutputError, match="disk is full"):
            writer.write(6, full, beside=beside)
        if beside:
            with pytest.raises(OutputError, match=r"disk is full.*go on with --resume"):
                writer.wait()
        assert sorted((tmp_path / "checkpoints").iterdir()) == before
        assert [damage(path) for path in before] == [None, None]
    writer.write(6, lambda folder: None, beside=True)
    writer.wait()
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000006"]
    found = writer.written()
    assert found is not None
    assert (found.step, writer.written()) == (6, None)


# ---- whole runs --------------------------------------------------------------------------------


def test_checkpoints_are_kept_and_logged(shop: RankingDataset, tmp_path: Path) -> None:
    for keep in (1, 3):
        out = tmp_path / str(keep)
        train(recipe(checkpoint_keep=keep, checkpoint_every=1), shop, out)
        assert [damage(path) for path in checkpoints(out)] == [None] * keep
        lines = [line for line in all_of_log(out) if line["event"] == "checkpoint"]
        assert [line["step"] for line in lines] == list(range(1, 8))
        assert all(line["write_seconds"] > 0 < line["pause_seconds"] for line in lines)


@pytest.mark.parametrize("file", ["model.safetensors", "best/rankfield.json", SEAL])
def test_a_damaged_checkpoint_is_said_and_set_aside(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    out = tmp_path / "run"
    train(recipe(), shop, out)
    expected, best, log = last_checkpoint(out), contents(out / "model"), log_of(out)
    weights = contents(expected)["model.safetensors"]
    (expected / file).write_bytes((expected / file).read_bytes()[:-1])
    train(recipe(), shop, out, resume=True)
    said = capsys.readouterr().err
    assert "damaged-step-000006: this checkpoint is damaged" in said
    assert "going on from step 4" in said
    (line,) = (line for line in all_of_log(out) if line["event"] == "damaged checkpoints")
    assert line["step"] == 4
    assert list(line["damaged"]) == ["damaged-step-000006"]
    assert contents(out / "model") == best
    assert log_of(out) == log
    assert contents(last_checkpoint(out))["model.safetensors"] == weights


def test_the_best_model_is_that_of_the_checkpoint(shop: RankingDataset, tmp_path: Path) -> None:
    """A later one may have been better by the kernels of another machine."""
    out = tmp_path / "run"
    train(recipe(), shop, out)
    best = contents(last_checkpoint(out) / "best")
    (out / "model" / "rankfield.json").write_text("{}", "utf-8")
    train(recipe(dev={"every": "off"}), shop, tmp_path / "other")
    seen: list[dict[str, bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "rankfield.training.trainer._Trainer._loop",
            lambda self: seen.append(contents(out / "model")),
        )
        train(recipe(), shop, out, resume=True)
    assert seen == [best]


def test_without_memory_for_a_copy_the_training_waits(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(), shop, tmp_path / "beside")
    monkeypatch.setattr(run_checkpoints_module, "free_bytes", lambda device: 0.0)
    train(recipe(), shop, tmp_path / "waits")
    one, other = (contents(last_checkpoint(tmp_path / n)) for n in ("beside", "waits"))
    assert one["model.safetensors"] == other["model.safetensors"]
    assert one["optimizer.safetensors"] == other["optimizer.safetensors"]


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    whole = train(recipe(), shop, tmp_path / "whole")
    saved = []

    def full(tensors: Any, path: Path) -> None:
        saved.append(path)
        if len(saved) > 5:  # the second part of the second checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save_file(tensors, path)

    monkeypatch.setattr("rankfield.training.checkpoint.save_file", full)
    with pytest.raises(OutputError, match="the disk is full"):
        train(recipe(), shop, out)
    monkeypatch.undo()
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000002"]
    model = train(recipe(), shop, out, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_run_of_an_earlier_version_goes_on_with_new_checkpoints(
    shop: RankingDataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(recipe(checkpoint_every=1), shop, out)
    expected = contents(last_checkpoint(out))["model.safetensors"]
    shutil.rmtree(last_checkpoint(out))
    former_checkpoint(out)
    train(recipe(checkpoint_every=1, checkpoint_keep=3), shop, out, resume=True)
    assert [path.name for path in checkpoints(out)] == ["step-000007", "checkpoint"]
    assert contents(last_checkpoint(out))["model.safetensors"] == expected
