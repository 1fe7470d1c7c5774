"""Training: recipes, batches, checkpoints and the loop."""

from rankfield.training.build import build_model
from rankfield.training.mine import Mined, MineSettings, mine
from rankfield.training.negatives import NegativeTable, load_negatives, save_negatives
from rankfield.training.recipe import Recipe, load_recipe, parse_recipe
from rankfield.training.sources import add_judgments
from rankfield.training.trainer import train

__all__ = [
    "MineSettings",
    "Mined",
    "NegativeTable",
    "Recipe",
    "add_judgments",
    "build_model",
    "load_negatives",
    "load_recipe",
    "mine",
    "parse_recipe",
    "save_negatives",
    "train",
]
