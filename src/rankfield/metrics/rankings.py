"""Ranked lists with the scores that the judgments give them: the input of every metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rankfield.errors import MetricError

__all__ = ["Cutoffs", "FloatArray", "Gain", "IntArray", "JudgedRankings", "check_cutoff"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Cutoffs = int | Sequence[int]
"""One cutoff, for values of shape (Q,), or C of them, for (C, Q)."""
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

    @cached_property
    def judged_ranks(self) -> IntArray:
        """The ranks, from 1, of each list's judged documents, ascending; int64 (Q, M).

        M is the most judged documents that a list has; K + 1 past the end. Unjudged documents add
        nothing to any metric but by the ranks that they take, so metrics read these alone.
        """
        count, depth = self.scores.shape
        rows, columns = np.nonzero(~np.isnan(self.scores))
        found = np.bincount(rows, minlength=count)
        ranks = np.full((count, int(found.max(initial=0))), depth + 1, dtype=np.int64)
        ranks[np.arange(ranks.shape[1]) < found[:, None]] = columns + 1
        return ranks

    @cached_property
    def judged_scores(self) -> FloatArray:
        """The scores of the documents at `judged_ranks`; float64 (Q, M), NaN past the end."""
        scores = np.full(self.judged_ranks.shape, np.nan)
        scores[self.judged_ranks <= self.scores.shape[1]] = self.scores[~np.isnan(self.scores)]
        return scores

    def gains(self, gain: Gain) -> FloatArray:
        """Return the gains of the judged documents of each list, (Q, M); 0 past the end."""
        return _filled(self.judged_scores, gain)

    def relevant(self, threshold: float) -> npt.NDArray[np.bool_]:
        """Return whether each judged document of a list has a score ≥ threshold, (Q, M)."""
        with np.errstate(invalid="ignore"):
            return self.judged_scores >= threshold

    def sums_at(self, terms: FloatArray, k: Cutoffs) -> FloatArray:
        """Return Σ of the terms (Q, M) of judged documents within each cutoff, (Q,) or (C, Q).

        One pass serves every cutoff, and a figure does not depend on which others are asked for.

        Raises:
            MetricError: a cutoff < 1.
        """
        check_cutoff(int(np.min(k)))
        count, width = terms.shape
        running = np.zeros((count, width + 1))
        np.cumsum(terms, axis=1, out=running[:, 1:])
        # One ascending list of all ranks, each query's behind the one before.
        starts = np.arange(count) * (self.scores.shape[1] + 2)
        ascending = (self.judged_ranks + starts[:, None]).ravel()
        wanted = np.minimum(np.asarray(k)[..., None], self.scores.shape[1]) + starts
        within = np.searchsorted(ascending, wanted, side="right") - np.arange(count) * width
        sums: FloatArray = running[np.arange(count), within]
        return sums

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
        lengths = (self.judged_ranks <= self.scores.shape[1]).sum(axis=1, dtype=np.int64)
        return JudgedRankings(self.judged_scores, lengths, self.ideal_offsets, self.ideal_scores)


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
