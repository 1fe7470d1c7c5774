"""A paired comparison of two results on the same queries."""

from __future__ import annotations

import numpy as np
import polars as pl

__all__ = ["paired_difference"]


def paired_difference(
    ours: pl.Series, theirs: pl.Series, *, rounds: int = 10_000, seed: int = 0
) -> dict[str, float]:
    """Return the mean difference, its 95 % bootstrap interval, and a randomisation test's p.

    The interval resamples queries (percentile bootstrap); p is the share of random sign flips of
    the queries' differences whose mean is at least as far from 0, two-sided, with the observed
    one counted (Smucker et al., CIKM 2007).
    """
    difference = (ours - theirs).to_numpy()
    rng = np.random.default_rng(seed)
    mean = float(difference.mean())
    picks = rng.integers(0, len(difference), (rounds, len(difference)))
    low, high = np.percentile(difference[picks].mean(1), [2.5, 97.5])
    signs = rng.choice(np.array([-1.0, 1.0]), (rounds, len(difference)))
    as_far = (np.abs(signs @ difference / len(difference)) >= abs(mean) - 1e-12).sum()
    return {
        "difference": mean,
        "low": float(low),
        "high": float(high),
        "p": float((as_far + 1) / (rounds + 1)),
    }
