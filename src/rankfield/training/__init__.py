"""Training: recipes, batches, checkpoints and the loop."""

from rankfield.training.build import build_model
from rankfield.training.recipe import Recipe, load_recipe, parse_recipe
from rankfield.training.trainer import train

__all__ = ["Recipe", "build_model", "load_recipe", "parse_recipe", "train"]
