"""A callback of transformers' trainers that writes rankfield's log of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rankfield.training.run_log import RunLog

__all__ = ["RunLogCallback"]


class _MainProcess:
    """What a `RunLog` needs of accelerate; the trainer has trackers of its own."""

    is_main_process = True

    def log(self, *_: Any, **__: Any) -> None:
        """Leave trackers to the trainer."""


class RunLogCallback(TrainerCallback):  # type: ignore[misc]
    """Writes `log.jsonl` as `rankfield train` does, so that `rankfield report` shows the run.

    An event "train" for each line that the trainer logs (``logging_steps``): loss, gradient norm,
    learning rate, seconds; an event "dev" for each evaluation with all its figures, where
    ``ndcg@10`` is that of `metric`. The main process writes.

    Args:
        folder: of `log.jsonl`; by default the trainer's ``output_dir``.
        metric: which figure of an evaluation is nDCG@10; by default the first whose name ends
            with "ndcg@10" in any case.
    """

    def __init__(self, folder: str | Path | None = None, *, metric: str | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.metric = metric
        self.started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Start the clock, and drop what an interrupted run logged after the step it resumes at."""
        self.started = time.monotonic()
        if state.is_world_process_zero:
            log = self._log(args)
            if state.global_step:
                log.cut(state.global_step)
            else:
                log.path.unlink(missing_ok=True)

    def on_log(
        self, args: Any, state: Any, _control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Write the event of a training step or of an evaluation."""
        if not state.is_world_process_zero or not logs:
            return
        seconds = round(time.monotonic() - self.started, 3)
        if "loss" in logs:
            known = {"loss": "loss", "grad_norm": "gradient_norm", "learning_rate": "learning_rate"}
            values = {ours: _number(logs[name]) for name, ours in known.items() if name in logs}
            self._log(args).write("train", state.global_step, {**values, "seconds": seconds})
        figures = {k.removeprefix("eval_"): _number(v) for k, v in logs.items() if _evaluated(k, v)}
        if figures:
            main = self.metric or next((k for k in figures if k.lower().endswith("ndcg@10")), None)
            first = {} if main is None else {"ndcg@10": figures.get(main.removeprefix("eval_"))}
            self._log(args).write("dev", state.global_step, {**first, "figures": figures})

    def _log(self, args: Any) -> RunLog:
        folder = self.folder or Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return RunLog(folder / "log.jsonl", _MainProcess())


def _evaluated(name: str, value: Any) -> bool:
    return name.startswith("eval_") and isinstance(value, int | float)


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
