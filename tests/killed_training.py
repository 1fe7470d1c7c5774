"""A small training that mines, averages and measures: killed, its checkpoints damaged, resumed.

Each resumed run must end as one that nothing happened to, to the bit.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from damaging import damaged_at_random
from killing import Run
from rankfield.training.checkpoint_folders import FOLDER, checkpoints, has_checkpoint
from training_data import tiny_shop
from training_runs import all_of_log, log_of

__all__ = ["MODULES", "Killed", "Training", "damaged_and_resumed"]

MODULES = (
    *("rankfield.training.trainer", "rankfield.validate", "accelerate"),
    *("transformers.models.bert.modeling_bert", "torch._dynamo.convert_frame"),
)
"""What a process that is killed has imported before."""
CLOCK = {"write_seconds", "pause_seconds", "seconds", "samples_per_second"}

RECIPE: dict[str, Any] = {
    "trackers": [],
    "log_every": 1,
    "checkpoint_every": 2,
    "data": {"field_dropout": 0.2},
    "encoder": {
        "dimension": 16,
        "text_width": 32,
        "text_layers": 1,
        "image_size": 24,
        "image_width": 32,
        "max_tokens": 12,
    },
    "batch": {"size": 16, "gradient_cache": "on", "micro_tokens": 32},
    "negatives": {"refresh_every": 5, "relative_margin": -1.0, "near_duplicate": 2.0},
    "optimizer": {"steps": 18, "learning_rate": 3e-3},
    "average": {"ema": 0.8},
    "dev": {"every": 3},
}


@dataclass
class Training:
    """Where it happens: a data set, a recipe, and the run that nothing happens to in `whole`.

    `start` starts `rankfield` with words in a process that can be killed.
    """

    folder: Path
    start: Callable[..., Run]

    def prepare(self, name: str = "whole", **sections: dict[str, Any]) -> float:
        """Make data, recipe and the whole run, and return how many seconds the run took."""
        if not (self.folder / "shop").exists():
            tiny_shop(self.folder / "shop", photos=False)
        values = RECIPE | {"data": RECIPE["data"] | {"dataset": str(self.folder / "shop")}}
        for key, section in sections.items():
            values[key] = values.get(key, {}) | section
        (self.folder / "recipe.toml").write_text(tomli_w.dumps(values), "utf-8")
        started = time.monotonic()
        assert self.begin(name).wait() == 0
        return time.monotonic() - started

    def begin(self, name: str) -> Run:
        out = self.folder / name
        words = ["--resume"] if has_checkpoint(out) else []
        if not words:  # killed before its first checkpoint
            shutil.rmtree(out, ignore_errors=True)
        return self.start("train", self.folder / "recipe.toml", "--out", out, *words)


@dataclass
class Killed:
    """What became of a run that was killed and resumed."""

    kills: int = 0
    writing: int = 0
    """Kills that left a half-written checkpoint."""
    different: list[str] = field(default_factory=list)

    def of(self, training: Training, name: str, moments: list[tuple[int, float]]) -> None:
        """Kill a run at each moment, resume it to its end, and compare.

        A moment is so many seconds after so many checkpoints were begun.
        """
        out = training.folder / name
        for moment in moments:
            run = training.begin(name)
            _wait(run, out, moment)
            if run.kill() == -signal.SIGKILL:
                self.kills += 1
                self.writing += any((out / FOLDER).glob(".step-*"))
        run = training.begin(name)
        code = run.wait()
        found = [f"exit code {code}"] if code else differences(training.folder / "whole", out)
        self.different += [f"{name}: {what}" for what in found]
        if not found:
            shutil.rmtree(out)


def _wait(run: Run, out: Path, moment: tuple[int, float]) -> None:
    begun, seconds = moment
    seen: set[str] = set()
    while len(seen) < begun and run.is_running():
        seen |= {path.name for path in (out / FOLDER).glob(".step-*")}
        time.sleep(0.0002)
    time.sleep(seconds)


def damaged_and_resumed(training: Training, name: str, kind: str, seed: int) -> list[str]:
    """Damage the last checkpoint of a copy of the whole run, resume it, and say what is wrong."""
    chance = random.Random(seed)
    out = training.folder / name
    shutil.copytree(training.folder / "whole", out)
    last, before = checkpoints(out)[:2]
    file = damaged_at_random(last, kind, chance)
    # later than the checkpoint that is fallen back to: nothing of it may be taken for its own
    shutil.rmtree(out / "model")
    shutil.copytree(before / "best", out / "model")
    code = training.begin(name).wait()
    if code:
        return [f"{name}, {file}: exit code {code}"]
    found = differences(training.folder / "whole", out)
    said = [line for line in all_of_log(out) if line["event"] == "damaged checkpoints"]
    step = int(before.name.removeprefix("step-"))
    if [(line["step"], [*line["damaged"]]) for line in said] != [(step, [f"damaged-{last.name}"])]:
        found.append(f"the log says {said}")
    if not found:
        shutil.rmtree(out)
    return [f"{name}, {file}: {what}" for what in found]


def differences(one: Path, other: Path) -> list[str]:
    """Return in which of its results a run differs from another."""
    found = []
    for part in ("model", "negatives"):
        first, second = (_contents(folder / part) for folder in (one, other))
        names = first.keys() | second.keys()
        found += [f"{part}/{name}" for name in names if first.get(name) != second.get(name)]
    if log_of(one) != log_of(other):
        found.append("log.jsonl")
    last, its = checkpoints(one)[0], checkpoints(other)[0]
    if last.name != its.name:
        found.append(f"{last.name} and {its.name} are last")
    for path in last.glob("*.safetensors"):
        if path.read_bytes() != (its / path.name).read_bytes():
            found.append(f"{last.name}/{path.name}")
    progress = [json.loads((p / "progress.json").read_text()) for p in (last, its)]
    if len({json.dumps({k: v for k, v in p.items() if k not in CLOCK}) for p in progress}) > 1:
        found.append(f"{last.name}/progress.json")
    return found


def _contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
