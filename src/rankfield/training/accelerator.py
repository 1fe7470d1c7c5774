"""accelerate's part of a run: processes, devices, precision and trackers."""

from __future__ import annotations

import atexit
import importlib.util
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from rankfield.errors import MissingExtraError, RecipeError
from rankfield.training.recipe import Recipe

__all__ = ["end_run", "from_main_process", "make_accelerator", "start_trackers"]

# What "auto" comes to is known once there is a model: the step computes in it.
_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16", "auto": "no"}
_PATIENCE = timedelta(days=1)
_LONGEST = 256


def make_accelerator(recipe: Recipe, out: Path) -> Any:
    """Return the accelerator of a run in the folder `out`.

    Raises:
        RecipeError: fp16 without a GPU.
        MissingExtraError: a tracker that is not installed.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
    from accelerate.state import AcceleratorState

    if recipe.precision == "fp16" and not torch.cuda.is_available():
        raise RecipeError(
            "fp16 needs a GPU, and there is none",
            where="recipe, precision",
            remedy="Use bf16 or fp32.",
        )
    for tracker in recipe.trackers:
        if importlib.util.find_spec(tracker) is None:  # accelerate would go on without it
            raise MissingExtraError(
                f"{tracker} is not installed",
                where="recipe, trackers",
                remedy=f"pip install {tracker}, or leave it out.",
            )
    # Accelerate keeps the precision of a process's first run for all later ones.
    AcceleratorState._reset_state()
    # Launched as several processes without a GPU, accelerate must be told to use the CPU: it
    # would otherwise treat each process as the only one.
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    foreign = torch.distributed.is_initialized()
    accelerator = Accelerator(
        cpu=several and not torch.cuda.is_available(),
        mixed_precision=_PRECISION[recipe.precision],
        log_with=_trackers(recipe, out) or None,
        project_dir=str(out),
        kwargs_handlers=[
            # A tower has no gradient where a batch lacks its fields.
            DistributedDataParallelKwargs(find_unused_parameters=True),
            # The others wait while the main process measures or mines.
            InitProcessGroupKwargs(timeout=_PATIENCE),
        ],
    )
    if torch.distributed.is_initialized() and not foreign:
        atexit.register(_end_processes)
    return accelerator


def _trackers(recipe: Recipe, out: Path) -> list[Any]:
    """Return the trackers, each with the recipe's project and the run's name where it has both."""
    from accelerate import tracking

    run, project = recipe.name, recipe.project
    makers = {
        "tensorboard": lambda: tracking.TensorBoardTracker("tensorboard", str(out)),
        "wandb": lambda: tracking.WandBTracker(project, name=run),
        "mlflow": lambda: tracking.MLflowTracker(experiment_name=project, run_name=run),
        "trackio": lambda: tracking.TrackioTracker(project, name=run),
    }
    return [makers[name]() for name in recipe.trackers]


def start_trackers(recipe: Recipe, accelerator: Any) -> None:
    """Begin a run at each tracker; those of runs as tables get the recipe's settings too."""
    accelerator.init_trackers(recipe.project)
    settings: dict[str, Any] = {}
    for key, value in recipe.model_dump(mode="json").items():
        inner = {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else None
        settings |= {key: value} if inner is None else inner
    plain = {k: v if isinstance(v, bool | float | int) else str(v) for k, v in settings.items()}
    for tracker in accelerator.trackers:
        if tracker.name != "tensorboard":
            tracker.store_init_configuration(plain)


def from_main_process(text: str, accelerator: Any) -> str:
    """Return in all processes the text that the main process has; all must call it.

    Args:
        text: at most 256 ASCII characters; that of the other processes does not matter.
        accelerator: accelerate's.
    """
    if accelerator.num_processes == 1:
        return text
    codes = torch.zeros(_LONGEST, dtype=torch.uint8, device=accelerator.device)
    codes[: len(text)] = torch.tensor(list(text.encode("ascii")), dtype=torch.uint8)
    torch.distributed.broadcast(codes, 0)
    return bytes(codes.tolist()).rstrip(b"\0").decode("ascii")


def end_run(accelerator: Any) -> None:
    """Close the trackers of a run.

    The processes stay one group, which the next run in them needs: it ends with the program, or
    by whoever made it. Accelerate's own `end_training` ends it.
    """
    for tracker in accelerator.trackers:
        tracker.finish()


def _end_processes() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
