"""What tests of whole trainings share: interrupting a run, and what one has left."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from rankfield.training import trainer as trainer_module
from rankfield.training.checkpoint_folders import checkpoints
from rankfield.training.manifest import MANIFEST, SEAL

__all__ = ["all_of_log", "former_checkpoint", "interrupt_in", "last_checkpoint", "log_of"]


def interrupt_in(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in this step, counted from 1."""
    original = trainer_module._Trainer._step

    def interrupted(self: Any, number: int, raw: Any) -> Any:
        if number + 1 == step:
            signal.raise_signal(signal.SIGINT)
        return original(self, number, raw)

    monkeypatch.setattr(trainer_module._Trainer, "_step", interrupted)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, without what depends on the clock and on interruptions."""
    timing = ("seconds", "samples_per_second")
    lines = all_of_log(folder)
    kept = [line for line in lines if line["event"] not in ("checkpoint", "damaged checkpoints")]
    return [{k: v for k, v in line.items() if k not in timing} for line in kept]


def all_of_log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def former_checkpoint(folder: Path) -> Path:
    """Make the last checkpoint of a run what earlier versions wrote, and return its folder."""
    found = last_checkpoint(folder).rename(folder / "checkpoint")
    for name in ("best", "negatives", "../checkpoints"):
        shutil.rmtree(found / name, ignore_errors=True)
    for name in (MANIFEST, SEAL):
        (found / name).unlink()
    return found


def last_checkpoint(folder: Path) -> Path:
    return checkpoints(folder)[0]
