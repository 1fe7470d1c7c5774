"""Reading a training run's log: JSON Lines, one event a line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankfield.errors import InputError
from rankfield.parsing import parse_json
from rankfield.settings import read_toml

__all__ = ["TrainingLog", "read_log"]


@dataclass
class TrainingLog:
    """What a run's log says about its course.

    `loss` and `dev` map a step to the training loss and to the mean nDCG@10 on the dev queries.
    `outcome` has the rows of `training.dev_course.dev_rows`: the base model and the trained one.
    `facts` holds the last plain value seen under each key, such as seconds. `recipe` is what the
    run's recipe.toml says, which training writes beside the log, as `published_recipe` shows it;
    empty without one.
    """

    loss: dict[int, float] = field(default_factory=dict)
    dev: dict[int, float] = field(default_factory=dict)
    outcome: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)


def read_log(path: str | Path) -> TrainingLog:
    """Read the events "train" (step, loss), "dev" (step, ndcg@10) and "outcome" of a log.

    A run that was stopped and resumed may log a step twice: the later line counts. A last line cut
    short by a kill is left out.

    Raises:
        InputError: there is no such file, a line other than the last is not JSON, or the recipe
            is not TOML.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InputError(f"the training log cannot be read ({reason})", where=str(path)) from error
    log = TrainingLog(recipe=_read_recipe(path.with_name("recipe.toml")))
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = parse_json(line, finite=False)  # a loss may have become NaN
        except ValueError as error:
            if number == len(lines):
                break
            raise InputError(
                f"expected a JSON object on each line, found {line[:40]!r}",
                where=f"{path}, line {number}",
                remedy="Give the log.jsonl that the training run wrote.",
            ) from error
        if isinstance(event, dict):
            _add(log, event)
    return log


def _read_recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    from rankfield.training.published_recipe import published_recipe

    return published_recipe(read_toml(path))


def _add(log: TrainingLog, event: dict[str, Any]) -> None:
    step = event.get("step")
    if isinstance(step, int):
        if event.get("event") == "train" and _finite(event.get("loss")):
            log.loss[step] = float(event["loss"])
        if event.get("event") == "dev" and _finite(event.get("ndcg@10")):
            log.dev[step] = float(event["ndcg@10"])
        if event.get("event") == "outcome":
            from rankfield.training.dev_course import dev_rows

            log.outcome = dev_rows({"dev_splits": event})
    log.facts.update({k: v for k, v in event.items() if isinstance(v, str) or _finite(v)})


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
