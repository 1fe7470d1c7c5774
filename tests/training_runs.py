"""What tests of whole trainings share: interrupting a run, and what one has left."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from rankfield.training import trainer as trainer_module

__all__ = ["interrupt_in", "log_of"]


def interrupt_in(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in this step, counted from 1."""
    original = trainer_module._Trainer._step

    def interrupted(self: Any, number: int, raw: Any) -> Any:
        if number + 1 == step:
            signal.raise_signal(signal.SIGINT)
        return original(self, number, raw)

    monkeypatch.setattr(trainer_module._Trainer, "_step", interrupted)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, without what depends on the clock."""
    timing = ("seconds", "samples_per_second")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in timing} for line in lines]
