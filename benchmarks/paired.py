"""A paired comparison of two results on the same queries, for the benchmarks' tables."""

from __future__ import annotations

import numpy.typing as npt

from rankfield.evaluation import paired_test

__all__ = ["RECIPES", "paired_difference"]

RECIPES = "seeds and queries"
"""What results say whose tests are of several runs of each side."""


def paired_difference(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> dict[str, float | None]:
    """Return the mean of ours − theirs, its 95 % interval, and p, of runs × queries of each."""
    test = paired_test(theirs, ours)
    return {
        "difference": test.difference.value,
        "low": test.difference.low,
        "high": test.difference.high,
        "p": test.p_value,
    }
