"""What is compared in quality.py: data sets, the ways of training, and what each is tuned over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ARMS", "DEFAULT", "SETS", "Arm", "BenchmarkSet", "choices"]

Settings = dict[str, Any]

PAIRS: Settings = {
    "loss.target": "pair",
    "loss.direction": "both",
    "batch.documents_per_query": 1,
    "batch.choice": "uniform",
}
"""The paper's batches and target: judged pairs at random, every other document a negative."""

LISTS: Settings = {"batch.documents_per_query": 8, "batch.choice": "stratified"}
"""Batches that hold several documents of each query."""


def weight(name: str, **parameters: Any) -> Settings:
    """Settings of a score-to-weight function."""
    return {"loss.weight": name, "loss.weight_parameters": parameters}


CONSTANT = weight("constant")
WEIGHTS = (weight("exponential", temperature=0.2), weight("exponential", temperature=0.1))


@dataclass(frozen=True)
class BenchmarkSet:
    """A data set: how it is made, the encoder that all arms share, the rates they choose from."""

    title: str
    prepare: tuple[str, ...]
    split: tuple[str, ...]
    thresholds: tuple[float, float]
    common: Settings
    learning_rates: tuple[float, float]
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """One way of training.

    options: what it is tuned over beside the learning rate: two settings, the same number for all
        arms; {threshold} stands for one of the set's score thresholds.
    steps: its optimiser steps, as a multiple of the others'.
    tuned_as: take the settings chosen for that arm instead of tuning.
    """

    name: str
    settings: Settings
    options: tuple[Settings, ...] = field(default_factory=tuple)
    steps: float = 1.0
    tuned_as: str = ""


DEFAULT = "ranked (the default)"

ARMS = (
    Arm("CLIP, all judged pairs", {**PAIRS, **CONSTANT}, ({}, {"loss.logit_scale": 20.0})),
    Arm(
        "CLIP above a threshold",
        {**PAIRS, **CONSTANT},
        ({"data.minimum_score": 0}, {"data.minimum_score": 1}),
    ),
    Arm("GCL (the paper)", PAIRS, WEIGHTS),
    Arm("mask", {**LISTS, "loss.target": "mask"}, WEIGHTS),
    Arm("soft", {**LISTS, "loss.target": "soft"}, WEIGHTS),
    Arm("soft, rows", {**LISTS, "loss.target": "soft", "loss.direction": "rows"}, WEIGHTS),
    Arm(
        "ranked, both directions",
        {**LISTS, "loss.target": "ranked", "loss.direction": "both"},
        (CONSTANT, WEIGHTS[0]),
    ),
    Arm(
        "ranked, columns",
        {**LISTS, "loss.target": "ranked", "loss.direction": "columns"},
        (CONSTANT, WEIGHTS[0]),
    ),
)
