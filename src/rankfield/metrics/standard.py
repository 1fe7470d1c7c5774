"""Metrics by name, such as "ndcg@10", and their means over queries."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rankfield.errors import MetricError
from rankfield.metrics.binary import average_precision, precision, recall, reciprocal_rank
from rankfield.metrics.err import err
from rankfield.metrics.gains import GainMap
from rankfield.metrics.judged import judged
from rankfield.metrics.ndcg import ndcg
from rankfield.metrics.rankings import FloatArray, JudgedRankings
from rankfield.metrics.rbp import rbp
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
    "ndcg@10",
    "ndcg_exp@10",
    "err@10",
    "rbp@10",
    "mrr@10",
    "map@1000",
    "recall@10",
    "recall@100",
    "recall@1000",
    "precision@10",
    "judged@10",
)
"""What an evaluation reports."""

_Family = Callable[[JudgedRankings, int, ScoreScale], FloatArray]


def _gains(scale: ScoreScale) -> GainMap:
    return GainMap(scale.minimum, scale.maximum)


_FAMILIES: dict[str, _Family] = {
    "ndcg": lambda r, k, s: ndcg(r, k, _gains(s).linear),
    "ndcg_exp": lambda r, k, s: ndcg(r, k, _gains(s).exponential),
    "err": lambda r, k, s: err(r, k, _gains(s).grade, _gains(s).highest_grade),
    "rbp": lambda r, k, s: rbp(r, k, _gains(s).fraction),
    "mrr": lambda r, k, s: reciprocal_rank(r, k, s.relevant),
    "map": lambda r, k, s: average_precision(r, k, s.relevant),
    "recall": lambda r, k, s: recall(r, k, s.relevant),
    "precision": lambda r, k, s: precision(r, k, s.relevant),
    "judged": lambda r, k, s: judged(r, k),  # noqa: ARG005
}


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over the `queries` for which it is defined; None if there is none.

    ``low`` and ``high`` bound its confidence interval, where one was computed.
    """

    value: float | None
    queries: int
    low: float | None = None
    high: float | None = None


def measure(name: str, rankings: JudgedRankings, scale: ScoreScale) -> FloatArray:
    """Return the metric called `name` for each query, float64 (Q,); NaN where it is undefined.

    A name is a family and a cutoff, "ndcg@10". The families: ndcg (linear gain), ndcg_exp
    (gain 2^g − 1), err, rbp (p = 0.9), mrr, map, recall, precision (a document is relevant if its
    score ≥ ``scale.relevant``) and judged. `GainMap` states how scores become gains and grades.

    Raises:
        MetricError: an unknown family, or no cutoff of at least 1.
    """
    family, _, cutoff = name.partition("@")
    if family not in _FAMILIES:
        close = difflib.get_close_matches(family, _FAMILIES, n=1)
        raise MetricError(
            f"unknown metric; expected one of {', '.join(_FAMILIES)}, then @ and a cutoff",
            where=f"metric {name!r}",
            remedy=f"Did you mean {close[0]!r}?" if close else "",
        )
    if not (cutoff.isascii() and cutoff.isdigit() and int(cutoff) >= 1):
        raise MetricError(
            f"expected a cutoff of at least 1 after @, found {cutoff!r}",
            where=f"metric {name!r}",
            remedy=f"Write {family}@10, for instance.",
        )
    return _FAMILIES[family](rankings, int(cutoff), scale)


def standard_metrics(
    rankings: JudgedRankings, scale: ScoreScale, names: Sequence[str] = STANDARD_METRICS
) -> dict[str, FloatArray]:
    """Return name → values of each query, as `measure`.

    Raises:
        MetricError: an unknown name.
    """
    return {name: measure(name, rankings, scale) for name in names}


def mean_of_defined(values: FloatArray) -> Mean:
    """Return the mean of the values that are not NaN, and how many they are."""
    defined = values[~np.isnan(values)]
    return Mean(float(defined.mean()) if defined.size else None, int(defined.size))


def summarise(values: Mapping[str, FloatArray]) -> dict[str, Mean]:
    """Return name → `mean_of_defined` of its values."""
    return {name: mean_of_defined(of_queries) for name, of_queries in values.items()}
