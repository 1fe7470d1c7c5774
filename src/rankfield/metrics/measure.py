"""Metrics by name, such as "nDCG@10", and their means over queries."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rankfield.metrics.metric import Metric
from rankfield.metrics.own_metric import OwnMetric
from rankfield.metrics.rankings import FloatArray, JudgedRankings
from rankfield.metrics.table import METRICS
from rankfield.schema import ScoreScale

__all__ = [
    "STANDARD_METRICS",
    "Mean",
    "mean_of_defined",
    "measure",
    "standard_metrics",
    "summarise",
]

STANDARD_METRICS: tuple[str, ...] = (
    "nDCG@10",
    "nDCG(gain=exp)@10",
    "ERR@10",
    "RBP@10",
    "RR@10",
    "mAP@1000",
    "R@10",
    "R@100",
    "R@1000",
    "P@10",
    "Judged@10",
)
"""What an evaluation reports."""


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over the `queries` for which it is defined; None if there is none.

    ``low`` and ``high`` bound its confidence interval, where one was computed.
    """

    value: float | None
    queries: int
    low: float | None = None
    high: float | None = None


def measure(
    metric: str | Metric | OwnMetric, rankings: JudgedRankings, scale: ScoreScale
) -> FloatArray:
    """Return a metric's value for each query, float64 (Q,); NaN where it is undefined.

    `Metric` says how metrics are named, `GainMap` how scores on `scale` become gains and grades;
    a document is relevant if its score ≥ ``scale.relevant``, unless the metric's `rel` is given.

    Raises:
        MetricError: a name that `Metric.parse` refuses.
    """
    (values,) = standard_metrics(rankings, scale, [metric]).values()
    return values


def standard_metrics(
    rankings: JudgedRankings,
    scale: ScoreScale,
    metrics: Sequence[str | Metric | OwnMetric] = STANDARD_METRICS,
) -> dict[str, FloatArray]:
    """Return canonical name → values of each query, as `measure`.

    Metrics that differ in the cutoff alone are computed in one pass.

    Raises:
        MetricError: a name that `Metric.parse` refuses, or as `OwnMetric.values`.
    """
    parsed = [m if isinstance(m, OwnMetric) else Metric.parse(m) for m in metrics]
    found: dict[Metric | OwnMetric, FloatArray] = {}
    passes: dict[tuple[object, ...], list[Metric]] = {}
    for metric in parsed:
        if isinstance(metric, OwnMetric):
            found[metric] = metric.values(rankings, scale)
            continue
        passes.setdefault((metric.family, metric.parameters), []).append(metric)
    for alike in passes.values():
        cutoffs = [metric.cutoff or sys.maxsize for metric in alike]
        lists = rankings.condensed if alike[0].condensed else rankings
        family = METRICS[alike[0].family]
        settings = {name: alike[0].value(name) for name in family.parameters}
        values = family.compute(lists, cutoffs, scale, settings)
        found.update(zip(alike, values, strict=True))
    return {str(metric): found[metric] for metric in parsed}


def mean_of_defined(values: FloatArray) -> Mean:
    """Return the mean of the values that are not NaN, and how many they are."""
    defined = values[~np.isnan(values)]
    return Mean(float(defined.mean()) if defined.size else None, int(defined.size))


def summarise(values: Mapping[str, FloatArray]) -> dict[str, Mean]:
    """Return name → `mean_of_defined` of its values."""
    return {name: mean_of_defined(of_queries) for name, of_queries in values.items()}
