"""Ways of training by name: what each sets in a recipe's loss and batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import RecipeError
from rankfield.messages import did_you_mean
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.weighting import SOFT_DISCOUNT

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Sections",
    "fitted_course",
    "fitted_rate",
    "fitted_settings",
    "method_settings",
]

Sections = dict[str, dict[str, Any]]
"""Section of a recipe → key → value."""

_PAIRS: dict[str, Any] = {"documents_per_query": 1, "choice": "uniform", "more_queries": 0}

METHODS: dict[str, Sections] = {
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

_EPOCHS, _FEWEST, _FEWEST_PRETRAINED, _MOST, _LOOKS = 2, 50, 20, 20_000, 5

_GRADES = 10
"""More different scores of good documents than this are no grades, such as those of clicks."""

_BINS, _RELEVANT, _MARGINS = 20, 0.5, 30.0
"""Equal parts of the good scores' range, of which a ranked list fills more than `_GRADES`; the
least share of relevant ones among good documents; and `loss.margin_mse` where either holds."""


def method_settings(name: str) -> Sections:
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


def fitted_settings(name: str, dataset: RankingDataset, *, pretrained: bool = False) -> Sections:
    """Return what a method sets for this data.

    For "ranked" and short lists (half of the training queries judge fewer than 20 documents good,
    with a score > ``score_scale.floor``), batches of single pairs and both directions: several
    documents of each query would leave few queries in a step, so the queries must compete too.
    For scores that are no grades (more than 10 different good ones), weights and batches that do
    not count equal scores: "soft_discount" and "soft_balanced". From scratch, where half of the
    good documents are relevant (a score ≥ ``score_scale.relevant``) or scores are those of ranked
    lists (in more than 10 of 20 equal parts of their range), MarginMSE beside the loss: there it
    ranked new documents better, but not where most of what is good is below relevant, nor from a
    pretrained text encoder (docs/losses.md).

    Args:
        name: of `METHODS`.
        dataset: with judgments to train on.
        pretrained: as in `fitted_course`.

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
    scratch = name == DEFAULT_METHOD and not pretrained
    if scratch and _margins_help(good["score"].to_numpy(), dataset.score_scale):
        settings["loss"]["margin_mse"] = _MARGINS
    return settings


def _margins_help(good: NDArray[np.float64], scale: ScoreScale) -> bool:
    """Return whether most of what is good is relevant, or scores lie all over the range, as ranks.

    Noise on grades counts for neither.
    """
    if not len(good):
        return False
    unit = (scale.span or 1.0) / _BINS
    parts, relevant = (scale.linear_gain(one) / unit for one in (good, np.array(scale.relevant)))
    mostly_relevant = bool(np.mean(parts >= relevant - 0.5) >= _RELEVANT)
    return mostly_relevant or len(np.unique(parts.round())) > _GRADES


def fitted_rate(method: str, *, pretrained: bool = False) -> Sections:
    """Return the learning rate and the logit scale that a method begins with, where they are set.

    For "ranked" from scratch the rate 2e-3 and the scale 30, which were as good as 1e-3 and 14.3 or
    better on each set (benchmarks/RESULTS.md); else the recipe's defaults.

    Args:
        method: of `METHODS`.
        pretrained: as in `fitted_course`.
    """
    if method != DEFAULT_METHOD or pretrained:
        return {}
    return {"optimizer": {"learning_rate": 2e-3}, "loss": {"logit_scale": 30.0}}


def fitted_course(method: str, pairs: int, size: int, *, pretrained: bool) -> Sections:
    """Return how a training of so much data goes: steps, dev, and rate and scale by `fitted_rate`.

    steps = 2 · `pairs` / `size`, two epochs, but at least 50 (20 from a pretrained encoder) and at
    most 20,000; dev measures five times, so that the best model on the way is kept. On a small shop
    "ranked" was best on unseen documents after one to three epochs, and lost there what it gained
    in domain when trained on.

    Args:
        method: of `METHODS`.
        pairs: judged pairs of positive weight.
        size: pairs a step.
        pretrained: whether the encoder, or another trainer's parameters, are given.
    """
    least = _FEWEST_PRETRAINED if pretrained else _FEWEST
    steps = min(max(round(_EPOCHS * pairs / size), least), _MOST)
    found = fitted_rate(method, pretrained=pretrained)
    found.setdefault("optimizer", {})["steps"] = steps
    return {**found, "dev": {"every": max(steps // _LOOKS, 1)}}
