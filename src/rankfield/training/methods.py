"""Ways of training by name: what each sets in a recipe's loss and batch."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankfield.errors import RecipeError
from rankfield.messages import did_you_mean
from rankfield.schema import RankingDataset
from rankfield.weighting import SOFT_DISCOUNT

__all__ = ["DEFAULT_METHOD", "METHODS", "fitted_settings", "method_settings"]

_PAIRS: dict[str, Any] = {"documents_per_query": 1, "choice": "uniform", "more_queries": 0}

METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "ranked": {"loss": {}, "batch": {}},
    "gcl": {
        "loss": {"target": "pair", "direction": "both", "weight": "exponential"},
        "batch": _PAIRS,
    },
    "clip": {
        "loss": {"target": "pair", "direction": "both", "weight": "constant"},
        "batch": _PAIRS,
    },
}
"""Method → section → what differs from a recipe's defaults.

ranked: rankfield's own, the default. gcl: the loss of the paper (arXiv 2404.08535). clip: that of
CLIP, all judged pairs alike.
"""

DEFAULT_METHOD = "ranked"

_SHORT = 20
"""A list with fewer good documents is short."""

_GRADES = 10
"""More different scores of good documents than this are no grades, such as those of clicks."""


def method_settings(name: str) -> dict[str, dict[str, Any]]:
    """Return what a method sets: section → key → value.

    Raises:
        RecipeError: an unknown method, with the nearest known one.
    """
    if name not in METHODS:
        raise RecipeError(
            f"unknown; expected one of {', '.join(METHODS)}",
            where=f"method {name!r}",
            remedy=did_you_mean(name, METHODS),
        )
    return METHODS[name]


def fitted_settings(name: str, dataset: RankingDataset) -> dict[str, dict[str, Any]]:
    """Return what a method sets for this data.

    For "ranked" and short lists (half of the training queries judge fewer than 20 documents good,
    with a score > ``score_scale.floor``), batches of single pairs and both directions: several
    documents of each query would leave few queries in a step, so the queries must compete too.
    For scores that are no grades (more than 10 different good ones), weights and batches that do
    not count equal scores: "soft_discount" and "soft_balanced".

    Raises:
        RecipeError: an unknown method.
    """
    settings = {section: dict(values) for section, values in method_settings(name).items()}
    good = dataset.training_judgments().filter(pl.col("score") > dataset.score_scale.floor)
    median = good.group_by("query_id").len()["len"].median()
    if name == DEFAULT_METHOD and isinstance(median, int | float) and median < _SHORT:
        settings["loss"]["direction"] = "both"
        settings["batch"]["documents_per_query"] = 1
    if name == DEFAULT_METHOD and good["score"].n_unique() > _GRADES:
        settings["loss"]["weight"] = SOFT_DISCOUNT
        settings["batch"]["choice"] = "soft_balanced"
    return settings
