"""Whether a recipe's learning rate would undo what a pretrained encoder knows."""

from __future__ import annotations

from rankfield.training.recipe import Recipe

__all__ = ["rate_warning"]

_HIGHEST = 2e-4
"""Full fine-tuning of transformers goes wrong from about here; the start for them has 2e-5."""


def rate_warning(recipe: Recipe) -> str | None:
    """Return what to say of a rate for random weights that a pretrained tower would train at.

    None where there is no such tower, it is frozen or has adapters, or its rate is at most 2e-4.
    """
    encoder, optimizer = recipe.encoder, recipe.optimizer
    if recipe.lora.rank:
        return None
    rates = {"text": optimizer.text_learning_rate or optimizer.learning_rate}
    rates["vision"] = optimizer.learning_rate
    if encoder.kind == "composed":
        named = {"text": encoder.text_model, "vision": encoder.vision_model}
    else:
        named = dict.fromkeys(rates, encoder.model)
    high = {
        tower: rate
        for tower, rate in rates.items()
        if named[tower] and tower not in encoder.freeze and rate > _HIGHEST
    }
    if not high:
        return None
    tower, rate = next(iter(high.items()))
    key = "text_learning_rate" if tower == "text" and optimizer.text_learning_rate else ""
    return (
        f"optimizer.{key or 'learning_rate'} = {rate:g} suits weights drawn at random; the"
        f" pretrained {named[tower]} would forget what it knows. 2e-5 suits it: `rankfield recipe"
        " --encoder NAME` writes rates and protection that do."
    )
