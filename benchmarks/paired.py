"""A paired comparison of two results on the same queries, for the benchmarks' tables."""

from __future__ import annotations

import polars as pl

from rankfield.evaluation import paired_test

__all__ = ["paired_difference"]


def paired_difference(ours: pl.Series, theirs: pl.Series) -> dict[str, float | None]:
    """Return the mean of ours − theirs, its 95 % bootstrap interval, and the randomisation p."""
    test = paired_test(theirs.to_numpy(), ours.to_numpy())
    return {
        "difference": test.difference.value,
        "low": test.difference.low,
        "high": test.difference.high,
        "p": test.p_randomisation,
    }
