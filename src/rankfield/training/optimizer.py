"""AdamW with its parameter groups, and the learning-rate schedule as a function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from rankfield.encoders import RankingModel
from rankfield.training.recipe import OptimizerSection

__all__ = ["make_optimizer", "schedule"]


def make_optimizer(model: RankingModel, section: OptimizerSection) -> torch.optim.AdamW:
    """Return AdamW over the trainable weights.

    Weight decay falls on matrices only: norms, biases and the logit scale have fewer than two
    dimensions. Each group keeps its peak rate under "peak".
    """
    text = {id(p) for p in model.encoder.text_parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in text, parameter.ndim >= 2)
            groups.setdefault(key, []).append(parameter)
    settings = []
    for (is_text, decays), parameters in groups.items():
        peak = section.learning_rate
        if is_text and section.text_learning_rate is not None:
            peak = section.text_learning_rate
        decay = section.weight_decay if decays else 0.0
        settings.append({"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay})
    betas = (section.beta1, section.beta2)
    return torch.optim.AdamW(settings, betas=betas, eps=section.epsilon)


def schedule(step: int, section: OptimizerSection) -> float:
    """Return the share of the peak rate at `step` (0-based): linear warm-up, then cosine to 0.

    With W = ⌈warmup · steps⌉: (step + 1) / W for step < W, else
    ½ (1 + cos(π (step − W + 1) / (steps − W + 1))).
    """
    warm = math.ceil(section.warmup * section.steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm + 1) / (section.steps - warm + 1)))
