"""A training that goes on where it stopped, if it did."""

from __future__ import annotations

import shutil
from pathlib import Path

from rankfield.encoders import RankingModel
from rankfield.schema import RankingDataset
from rankfield.training.checkpoint_folders import has_checkpoint
from rankfield.training.recipe import Recipe
from rankfield.training.trainer import train

__all__ = ["begin_or_resume"]


def begin_or_resume(recipe: Recipe, dataset: RankingDataset, out: Path) -> RankingModel:
    """Train as `train`, from the newest checkpoint in `out` if there is one.

    What is in `out` without a checkpoint was left by an interrupt before the first one, and is
    removed.

    Raises:
        RecipeError, DataError, ModelError, OutputError, KeyboardInterrupt: as `train`.
    """
    resume = has_checkpoint(out)
    if not resume:
        shutil.rmtree(out, ignore_errors=True)
    return train(recipe, dataset, out, resume=resume)
