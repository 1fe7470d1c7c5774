"""How the grades of several raters become one score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal, get_args

from rankfield.errors import InputError
from rankfield.serving.acts import Act

__all__ = ["RULES", "Rule", "RuleName"]

RuleName = Literal["mean", "median", "majority", "latest"]

RULES: Mapping[RuleName, str] = {
    "mean": "the mean of the grades",
    "median": "the median of the grades",
    "majority": "the grade that most raters gave",
    "latest": "the grade that was given last",
}
"""Name → what it computes. Of two middle grades, or two that as many gave, it is the mean."""


@dataclass(frozen=True)
class Rule:
    """A rule that combines the grades of a pair.

    name: one of `RULES`.
    settled_by: a rater whose grade stands alone wherever there is one.

    Raises:
        InputError: another name.
    """

    name: RuleName = "mean"
    settled_by: str | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(RuleName):
            raise InputError(
                f"expected one of {', '.join(RULES)}, found {self.name!r}", where="rule"
            )

    def __str__(self) -> str:
        return self.name + (f", settled by {self.settled_by}" if self.settled_by else "")

    def combined(self, grades: Sequence[Act]) -> tuple[float, str]:
        """Return the score of a pair, and which rule it comes from.

        Args:
            grades: of one pair, one of each rater, in the order in which they were given; at least
                one, all with a score.
        """
        for one in grades:
            if self.settled_by is not None and one.rater == self.settled_by:
                return _score(one), f"settled by {one.rater}"
        scores = [_score(one) for one in grades]
        if self.name == "latest":
            return scores[-1], self.name
        if self.name == "median":
            return median(scores), self.name
        if self.name == "majority":
            counts = Counter(scores)
            scores = [score for score, count in counts.items() if count == max(counts.values())]
        # rounding must not move the mean out of the scale
        return min(max(fmean(scores), min(scores)), max(scores)), self.name


def _score(one: Act) -> float:
    assert one.score is not None
    return one.score
