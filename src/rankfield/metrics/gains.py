"""What a score is worth to a metric: the stated maps from scores to gains and grades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankfield.metrics.family import number
from rankfield.metrics.rankings import FloatArray, Gain
from rankfield.schema import ScoreScale

__all__ = ["HIGHEST_GRADE", "GainMap", "read_highest_grade"]

HIGHEST_GRADE = 4.0
"""The top of the usual web-search grades, 0 (bad) to 4 (perfect)."""


def read_highest_grade(text: str) -> float:
    """Read a highest grade: so low that 2^max stays a finite float.

    Raises:
        ValueError: it is none; says what was expected.
    """
    return number("a number above 0 and below 1000", 0, 1000)(text)


@dataclass(frozen=True)
class GainMap:
    """The maps from scores on a scale to gains; all are elementwise.

    With floor = ``scale.floor``, 0 unless the scale states another, and span = maximum − floor:

    - linear gain = max(score − floor, 0): the score itself unless the scale goes below 0.
    - grade g = score − floor where span ≤ top, with g_max = span; on wider scales
      g = top · (score − floor) / span, with g_max = top. With the usual top = 4, grades of up to
      4 stay what they are, and 2^g stays sane on a scale of 1–100.
    - exponential gain = 2^g − 1.
    - fraction = (score − floor) / span.

    Scores off the scale are clipped to it, except that the linear gain has no upper bound.
    """

    scale: ScoreScale
    top: float = HIGHEST_GRADE

    @property
    def highest_grade(self) -> float:
        """The grade g_max of the best score."""
        return min(self.scale.span, self.top)

    def linear(self, scores: FloatArray) -> FloatArray:
        """Return max(score − floor, 0)."""
        return self.scale.linear_gain(scores)

    def fraction(self, scores: FloatArray) -> FloatArray:
        """Return (score − floor) / span, clipped to [0, 1]; 0 on a scale without extent."""
        if self.scale.span == 0:
            return np.zeros_like(scores)
        return np.minimum(self.linear(scores) / self.scale.span, 1.0)

    def grade(self, scores: FloatArray) -> FloatArray:
        """Return g, in [0, g_max]."""
        if self.scale.span <= self.top:
            return np.minimum(self.linear(scores), self.scale.span)
        return self.top * self.fraction(scores)

    def exponential(self, scores: FloatArray) -> FloatArray:
        """Return 2^g − 1, in [0, 2^g_max − 1]."""
        return np.exp2(self.grade(scores)) - 1.0

    def of_kind(self, kind: str) -> Gain:
        """Return the map named by nDCG's `gain`: "exp" or "linear"."""
        return self.exponential if kind == "exp" else self.linear
