"""The candidate of a round: the served model, trained further on what clicks say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.loop.judgments import ClickJudgments
from rankfield.loop.options import LoopOptions
from rankfield.loop.shop import Shop
from rankfield.training import parse_recipe
from rankfield.training.recipe import Recipe
from rankfield.training.unfinished import begin_or_resume

__all__ = ["candidate_recipe", "train_candidate"]


def candidate_recipe(
    served: Path, clicks: ClickJudgments, number: int, options: LoopOptions
) -> Recipe:
    """Return the recipe of a round: rankfield's own loss, from the served model's weights on.

    The last model is the candidate: dev queries choose no step of it, so that the proof on them is
    of one model.

    Args:
        served: folder of the served model.
        clicks: the further judgments; a batch takes a quarter of them at most.
        number: of the round.
        options: steps, learning rate, batch and seed.
    """
    model = RankingModel.load(served)
    values: dict[str, Any] = {
        "name": f"round {number}",
        "seed": options.seed,
        "checkpoint_every": 50,
        "trackers": [],
        "data": {
            f"{side}_weights": {field.name: field.weight for field in fields}
            for side, fields in (("query", model.query_fields), ("document", model.document_fields))
        },
        "encoder": {"kind": "rankfield", "model": str(served.resolve())},
        "loss": {"logit_scale": math.exp(float(model.log_logit_scale.detach()))},
        "judgments": [{"path": str(clicks.path.resolve()), "trust": 1.0, "map": "linear"}],
        "batch": {"size": max(2, min(options.batch, clicks.pairs // 4))},
        "optimizer": {"steps": options.steps, "learning_rate": options.learning_rate},
        "dev": {"every": "off"},
    }
    return parse_recipe(values)


def train_candidate(recipe: Recipe, shop: Shop, run: Path) -> Path:
    """Train in a run's folder, from its checkpoint if there is one; return the model's folder.

    Raises:
        RecipeError: too few judgments for a batch.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after writing a checkpoint.
    """
    begin_or_resume(recipe, shop.data, run)
    return run / "model"
