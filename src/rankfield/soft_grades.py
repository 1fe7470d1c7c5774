"""Grades with soft borders: ranks and shares of mass that scores decide by how far they are apart.

`weighting.grade_shares` counts a query's documents of exactly equal score. Here documents count as
of one grade in so far as their scores are close, so that a small change of scores changes little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.sorting import sorted_order

__all__ = ["LEVELS", "SoftGrades", "soft_grades"]

Floats = NDArray[np.float64]

LEVELS = 5
"""A query's best gain is so many widths of a grade: scores of up to five grades stay apart."""
_LEAST = 1e-3
"""Of the scale's span: a query whose best gain is smaller has no good document, only noise."""
_NOTHING = 0.01
"""Of a width: a smaller gain counts as none, so that noise on a score of no gain adds no pair."""


@dataclass(frozen=True)
class SoftGrades:
    """Of P pairs, each in its query's list: float64 P each.

    rank: 1 + the number of documents judged higher, those less than a width above in part.
    share: 0 to 1, how much of its weight is left where its grade has more documents than the best.
    presence: 0 to 1, whether there is a gain: 0 without, 1 from a width on.
    """

    rank: Floats
    share: Floats
    presence: Floats


def soft_grades(queries: NDArray[np.int64], gains: Floats, span: float) -> SoftGrades:
    """Return ranks and shares of each pair.

    With G the query's best gain, the width h = max(G, span / 1000) / 5, and t = (G − gain) / h, how
    many widths a document is below the best:

        presence_i = (gain_i / h − 0.01) / 0.99, cut to 0 … 1
        rank_i     = 1 + Σ_j min(1, max(t_i − t_j, 0))
        n_i        = Σ_{j: t_j ≥ t_i} presence_j · max(0, 1 − (t_j − t_i))
        share_i    = min(1, n_best / max_{j: t_j ≤ t_i} n_j)

    Where different gains are a width or more apart, such as whole grades from 0 to 5, rank and
    share are those of `weighting.grade_shares`. All are continuous in the gains, the same for
    equal ones, and independent of their unit.

    Args:
        queries: P query numbers.
        gains: P finite numbers ≥ 0, larger for a better document; 0: it is worth nothing.
        span: the largest gain that the scale allows.
    """
    order = sorted_order((-gains, queries))
    owner, gain = queries[order], gains[order]
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))[: len(owner)]
    query = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(owner))))
    best = gain[starts]
    width = np.maximum(best, _LEAST * (span or 1.0)) / LEVELS
    depth = ((best[query] - gain) / width[query]).astype(np.float64)
    presence = np.clip((gain / width[query] - _NOTHING) / (1 - _NOTHING), 0.0, 1.0)
    # Queries one behind the other, too far apart for a window of one width to reach the next.
    line = depth + query * (LEVELS + 3.0)
    rank = 1.0 + _higher(line, depth, starts[query])
    size = _below(line, depth, presence)
    largest = (
        pl.DataFrame({"query": query, "size": size})
        .select(pl.col("size").cum_max().over("query"))["size"]
        .to_numpy()
    )
    share = np.minimum(1.0, size[starts][query] / np.maximum(largest, 1e-300))
    found = [np.empty(len(order)) for _ in range(3)]
    for ordered, values in zip((rank, share, presence), found, strict=True):
        values[order] = ordered
    return SoftGrades(*found)


def _higher(line: Floats, depth: Floats, start: NDArray[np.int64]) -> Floats:
    """Return Σ_j min(1, max(t_i − t_j, 0)) over each entry's query."""
    near = np.searchsorted(line, line - 1.0, side="right")  # closer than a width, from here on
    equal = np.searchsorted(line, line, side="left")
    total = np.append(0.0, np.cumsum(depth))
    inside = (equal - near) * depth - (total[equal] - total[near])
    found: Floats = (near - start) + np.clip(inside, 0.0, equal - near)
    return found


def _below(line: Floats, depth: Floats, presence: Floats) -> Floats:
    """Return Σ presence_j · max(0, 1 − (t_j − t_i)) over those of t_j ≥ t_i in the same query."""
    first = np.searchsorted(line, line, side="left")
    last = np.searchsorted(line, line + 1.0, side="left")
    count = np.append(0.0, np.cumsum(presence))
    total = np.append(0.0, np.cumsum(presence * depth))
    mass = count[last] - count[first]
    found: Floats = (1.0 + depth) * mass - (total[last] - total[first])
    return np.clip(found, presence, None)
