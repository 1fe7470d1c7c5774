"""Ranked lists with the scores that the judgments give them: the input of every metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rankfield.errors import MetricError

__all__ = ["FloatArray", "Gain", "IntArray", "JudgedRankings", "at_cutoffs", "check_cutoff"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Gain = Callable[[FloatArray], FloatArray]
"""Turns scores into gains ≥ 0, elementwise and never decreasing."""


@dataclass(frozen=True)
class JudgedRankings:
    """The ranked lists of Q queries and all scores that the judgments hold for each query.

    scores: float64 (Q, K), the score of the document at each rank, best rank first; NaN where
        the document is unjudged and past the end of a list shorter than K.
    lengths: int64 (Q,), how many documents were retrieved, 0 … K.
    ideal_offsets: int64 (Q + 1,); query q's judged scores, retrieved or not, are
        ``ideal_scores[ideal_offsets[q]:ideal_offsets[q + 1]]``.
    ideal_scores: float64, descending within each query.

    Raises:
        MetricError: shapes that do not fit each other, or ideal scores out of order.
    """

    scores: FloatArray
    lengths: IntArray
    ideal_offsets: IntArray
    ideal_scores: FloatArray

    def __post_init__(self) -> None:
        count, depth = self.scores.shape
        if self.lengths.shape != (count,) or self.ideal_offsets.shape != (count + 1,):
            raise MetricError(
                f"expected {count} lengths and {count + 1} offsets, found "
                f"{self.lengths.shape} and {self.ideal_offsets.shape}",
                where="judged rankings",
            )
        if count and not (self.lengths.min() >= 0 and self.lengths.max() <= depth):
            raise MetricError(f"expected lengths from 0 to {depth}", where="judged rankings")
        steps = np.diff(self.ideal_offsets)
        if self.ideal_offsets[0] != 0 or self.ideal_offsets[-1] != self.ideal_scores.size:
            raise MetricError("offsets do not span the ideal scores", where="judged rankings")
        falls = np.diff(self.ideal_scores) <= 0
        starts = self.ideal_offsets[1:-1]
        falls[starts[(starts > 0) & (starts < self.ideal_scores.size)] - 1] = True
        if (steps < 0).any() or not falls.all():
            raise MetricError(
                "expected finite ideal scores, descending within each query",
                where="judged rankings",
            )

    def __len__(self) -> int:
        """Return Q, the number of queries."""
        return len(self.lengths)

    def gains(self, k: int, gain: Gain) -> FloatArray:
        """Return the gains of the first k ranks, (Q, min(k, K)); 0 where unjudged or absent."""
        return _filled(self.scores[:, : check_cutoff(k)], gain)

    def ideal_gains(self, k: int, gain: Gain) -> FloatArray:
        """Return the k largest gains that any ranking could collect, best first.

        Shape (Q, min(k, most judged documents of a query)), padded with 0.
        """
        counts = np.diff(self.ideal_offsets)
        ranks = np.arange(min(check_cutoff(k), int(counts.max(initial=0))))
        inside = ranks < counts[:, None]
        best = np.full(inside.shape, np.nan)
        best[inside] = self.ideal_scores[(self.ideal_offsets[:-1, None] + ranks)[inside]]
        return _filled(best, gain)

    def relevant(self, k: int, threshold: float) -> npt.NDArray[np.bool_]:
        """Return whether the document at each of the first k ranks has a score ≥ threshold."""
        with np.errstate(invalid="ignore"):
            return self.scores[:, : check_cutoff(k)] >= threshold

    def relevant_counts(self, threshold: float) -> IntArray:
        """Return how many judged documents of each query have a score ≥ threshold, (Q,)."""
        sums = np.concatenate([[0], np.cumsum(self.ideal_scores >= threshold, dtype=np.int64)])
        counts: IntArray = sums[self.ideal_offsets[1:]] - sums[self.ideal_offsets[:-1]]
        return counts

    @cached_property
    def condensed(self) -> JudgedRankings:
        """The same lists without their unjudged documents; those behind them move up.

        Sakai, Alternatives to bpref, SIGIR 2007.
        """
        known = ~np.isnan(self.scores)
        lengths: IntArray = known.sum(axis=1, dtype=np.int64)
        scores = np.full((len(self), int(lengths.max(initial=0))), np.nan)
        scores[np.arange(scores.shape[1]) < lengths[:, None]] = self.scores[known]
        return JudgedRankings(scores, lengths, self.ideal_offsets, self.ideal_scores)


def at_cutoffs(running: FloatArray, cutoffs: Sequence[int]) -> FloatArray:
    """Return the column of running sums (Q, K) at each cutoff, (C, Q); the last one past the end.

    A sum over the first k ranks is a running sum's column, so that one pass serves every cutoff,
    and a figure does not depend on which others are asked for.
    """
    if not running.shape[1]:
        return np.zeros((len(cutoffs), len(running)))
    columns: FloatArray = running.T[np.minimum(cutoffs, running.shape[1]) - 1]
    return columns


def check_cutoff(k: int) -> int:
    """Return k.

    Raises:
        MetricError: k is below 1.
    """
    if k < 1:
        raise MetricError(f"expected a cutoff of at least 1, found {k}", where="metric")
    return k


def _filled(scores: FloatArray, gain: Gain) -> FloatArray:
    known = ~np.isnan(scores)
    gains = np.zeros(scores.shape)
    gains[known] = gain(scores[known])
    return gains
