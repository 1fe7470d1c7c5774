"""Training: recipes, batches, checkpoints and the loop.

The names below load what they need when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.training.build import build_model
    from rankfield.training.mining import Mined, mine
    from rankfield.training.mining_settings import MineSettings
    from rankfield.training.negatives import NegativeTable, load_negatives, save_negatives
    from rankfield.training.recipe import Recipe, load_recipe, parse_recipe
    from rankfield.training.sources import add_judgments
    from rankfield.training.trainer import train

_HOMES = {
    "MineSettings": "mining_settings",
    "Mined": "mining",
    "NegativeTable": "negatives",
    "Recipe": "recipe",
    "add_judgments": "sources",
    "build_model": "build",
    "load_negatives": "negatives",
    "load_recipe": "recipe",
    "mine": "mining",
    "parse_recipe": "recipe",
    "save_negatives": "negatives",
    "train": "trainer",
}

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

__getattr__ = lazy_names(__name__, _HOMES)
