"""Tests against each of several baselines, or of all pairs, as a report shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rankfield.evaluation import Comparison

__all__ = ["PairRow", "pair_rows"]


@dataclass(frozen=True)
class PairRow:
    """How one model differs from another on a split, over the same queries.

    difference, low, high: name − against, and its 95 % interval.
    p_value: by Holm's correction over all rows. better, worse, equal: on how many queries.
    """

    split: str
    name: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    better: int
    worse: int
    equal: int


def pair_rows(comparison: Comparison, against: Sequence[str]) -> list[PairRow]:
    """Return a row for each split and pair of `Comparison.tests_against` on the main metric.

    Raises:
        MetricError: a baseline that is not among the results.
    """
    tests = comparison.tests_against(against).filter(metric=comparison.metrics[0])
    return [
        PairRow(
            **{key: row[key] for key in ("split", "name", "against", "difference", "low", "high")},
            p_value=row["p_adjusted"] if row["queries"] else None,
            **{key: row[key] for key in ("better", "worse", "equal")},
        )
        for row in tests.iter_rows(named=True)
    ]
