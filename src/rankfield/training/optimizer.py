"""AdamW with its parameter groups, and their learning rates as a function of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import nn

from rankfield.encoders import RankingModel
from rankfield.errors import RecipeError
from rankfield.settings import Settings
from rankfield.training.layers import layer_depths
from rankfield.training.shards import is_sharded

__all__ = ["OptimizerSection", "make_optimizer", "schedule", "set_learning_rates"]


class OptimizerSection(Settings):
    """AdamW with warm-up and cosine decay."""

    steps: int = Field(1000, ge=1, description="optimiser steps in all")
    learning_rate: float = Field(1e-3, gt=0, description="at its peak")
    text_learning_rate: float | None = Field(
        None, gt=0, description="of the text tower, where it should differ"
    )
    warmup: float = Field(0.05, ge=0, le=1, description="share of the steps that warm up")
    weight_decay: float = Field(0.05, ge=0, description="not on norms, biases, logit scale")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.98, ge=0, lt=1)
    epsilon: float = Field(1e-6, gt=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer of a pretrained tower: the rate above times this"
    )
    unfreeze_over: float = Field(
        0.0, ge=0, le=1, description="share of the steps over which pretrained layers join in"
    )


@dataclass(frozen=True)
class _Place:
    """A parameter's share of the peak rate, and the first step in which it trains."""

    share: float = 1.0
    start: int = 0


def make_optimizer(model: RankingModel, section: OptimizerSection) -> torch.optim.AdamW:
    """Return AdamW over the trainable weights.

    Weight decay applies to matrices only: norms, biases and the logit scale have fewer than two
    dimensions. Each group keeps its peak rate under "peak" and its first step under "start".

    A parameter at depth d of a pretrained tower of L layers (`layer_depths`) has

        peak = learning_rate · layer_decay^(L − d)        (ELECTRA, arXiv 2003.10555),
        start = ⌈unfreeze_over · steps · (L − d + h) / (L + 1 + h)⌉    (ULMFiT, arXiv 1801.06146).

    With heads h = 1: they train alone at first, then the top layer joins them, the embeddings
    last. A model that has nothing but its towers starts with the top layers: h = 0. Everything
    outside the pretrained towers has the full rate and trains from step 0.

    Raises:
        RecipeError: `layer_decay` or `unfreeze_over` without a pretrained tower that trains.
    """
    places = _places(model, section)
    text = {id(p) for p in model.encoder.text_parameters()}
    groups: dict[tuple[bool, bool, _Place, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            place = places.get(id(parameter), _Place())
            # AdamW takes no mixture of sharded and other weights.
            key = (id(parameter) in text, parameter.ndim >= 2, place, is_sharded(parameter))
            groups.setdefault(key, []).append(parameter)
    settings: list[dict[str, Any]] = []
    for (is_text, decays, place, _), parameters in groups.items():
        peak = section.learning_rate
        if is_text and section.text_learning_rate is not None:
            peak = section.text_learning_rate
        peak *= place.share
        decay = section.weight_decay if decays else 0.0
        group = {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay}
        settings.append({**group, "start": place.start})
    betas = (section.beta1, section.beta2)
    return torch.optim.AdamW(settings, betas=betas, eps=section.epsilon, fused=True)


def set_learning_rates(
    optimizer: torch.optim.Optimizer, step: int, section: OptimizerSection
) -> None:
    """Give each group of `make_optimizer` its learning rate for `step` (0-based).

    lr = peak · schedule(step), or 0 before the group's start. Until then its weights have no
    gradient: none is computed or counted in the norm that is clipped, and AdamW's moments begin
    with the group's first step.
    """
    share = schedule(step, section)
    for group in optimizer.param_groups:
        trains = step >= group["start"]
        group["lr"] = group["peak"] * share if trains else 0.0
        for parameter in group["params"]:
            parameter.requires_grad_(trains)


def schedule(step: int, section: OptimizerSection) -> float:
    """Return the share of the peak rate at `step` (0-based): linear warm-up, then cosine to 0.

    With W = ⌈warmup · steps⌉: (step + 1) / W for step < W, else
    ½ (1 + cos(π (step − W + 1) / (steps − W + 1))).
    """
    warm = math.ceil(section.warmup * section.steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm + 1) / (section.steps - warm + 1)))


def _places(model: RankingModel, section: OptimizerSection) -> dict[int, _Place]:
    """Return id → place for what trains in pretrained towers; empty if all are equal."""
    if section.layer_decay == 1.0 and not section.unfreeze_over:
        return {}
    towers = list(model.encoder.pretrained_towers().values())
    inside = {id(parameter) for tower in towers for parameter in tower.parameters()}
    if not any(p.requires_grad for tower in towers for p in tower.parameters()):
        key = "layer_decay" if section.layer_decay < 1.0 else "unfreeze_over"
        raise RecipeError(
            "there is no pretrained tower that trains", where=f"recipe, optimizer.{key}"
        )
    heads = int(any(_is_head(p) and id(p) not in inside for p in model.encoder.parameters()))
    window = section.unfreeze_over * section.steps
    places: dict[int, _Place] = {}
    for tower in towers:
        named = dict(tower.named_parameters())
        depths, layers = layer_depths(named)
        for name, parameter in named.items():
            above = layers - depths[name]
            start = math.ceil(window * (above + heads) / (layers + 1 + heads))
            places[id(parameter)] = _Place(section.layer_decay**above, start)
    return places


def _is_head(parameter: nn.Parameter) -> bool:
    """Tell a projection from a dual encoder's own scale and bias, which its loss alone uses."""
    return parameter.requires_grad and parameter.ndim >= 2
