"""What the recipe's precision "auto" comes to in a run."""

from __future__ import annotations

from typing import Any

from rankfield.encoders import RankingModel
from rankfield.encoders.precision import chosen_precision
from rankfield.training.accelerator import from_main_process
from rankfield.training.recipe import Recipe

__all__ = ["run_precision"]


def run_precision(recipe: Recipe, model: RankingModel, accelerator: Any, earlier: str) -> str:
    """Return "float32" or "bfloat16" for a recipe of precision "auto", else "".

    A run that is resumed keeps what it began with, on whatever machine; its processes all take
    what the main one finds.

    Args:
        recipe: of the run.
        model: on the device where it is trained.
        accelerator: accelerate's.
        earlier: what the run began with; "" for a new one.
    """
    if recipe.precision != "auto":
        return ""
    found = earlier
    if not earlier and accelerator.is_main_process:
        found = chosen_precision("auto", model.encoder, model.device)
    return from_main_process(found, accelerator)
