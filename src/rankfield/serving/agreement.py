"""How far the raters of a service agree, and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from rankfield.judging.agreement import cohen_kappa, confusion_table, krippendorff_alpha
from rankfield.serving.acts import Act, Grades, Pair

__all__ = ["Agreement", "Disagreement", "RaterPair", "rater_agreement", "spread"]


@dataclass(frozen=True)
class RaterPair:
    """Two raters, how many pairs both graded, and Cohen's kappa of these with quadratic weights.

    kappa: None where it is not defined: both gave one grade only.
    """

    first: str
    second: str
    count: int
    kappa: float | None


@dataclass(frozen=True)
class Disagreement:
    """A pair with grades that differ.

    grades: of its raters, the highest first.
    spread: the highest minus the lowest.
    """

    query_id: str
    doc_id: str
    query: str
    grades: tuple[tuple[str, float], ...]
    spread: float


@dataclass(frozen=True)
class Agreement:
    """How far raters agree.

    pairs: of raters that graded pairs in common, by name.
    alpha: Krippendorff's alpha of all raters, interval data; None where it is not defined.
    shared: how many pairs have two grades or more.
    disagreements: the largest spread first, then as pairs were judged first.
    """

    pairs: tuple[RaterPair, ...]
    alpha: float | None
    shared: int
    disagreements: tuple[Disagreement, ...]


def spread(acts: Sequence[Act]) -> float:
    """Return the highest minus the lowest of some grades; 0 of none."""
    scores = [one.score for one in acts if one.score is not None]
    return max(scores) - min(scores) if scores else 0.0


def rater_agreement(grades: Grades) -> Agreement:
    """Return how far the raters of some grades agree.

    Kappa weighs by the squared difference of scores, so that it does not depend on which grades of
    the scale were used. Grades without a rater's name count as those of one rater, "".
    """
    shared = {pair: acts for pair, acts in grades.items() if len(acts) > 1}
    scored = [(unit, one.score or 0.0) for unit, acts in enumerate(shared.values()) for one in acts]
    alpha = krippendorff_alpha([unit for unit, _ in scored], [score for _, score in scored])
    apart = [(pair, acts) for pair, acts in shared.items() if spread(acts)]
    apart.sort(key=lambda one: -spread(one[1]))
    return Agreement(
        pairs=tuple(_rater_pairs(shared)),
        alpha=alpha,
        shared=len(shared),
        disagreements=tuple(_disagreement(pair, acts) for pair, acts in apart),
    )


def _rater_pairs(shared: Grades) -> list[RaterPair]:
    both: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for acts in shared.values():
        by = sorted((one.rater, one.score or 0.0) for one in acts)
        for (first, score), (second, other) in combinations(by, 2):
            both.setdefault((first, second), []).append((score, other))
    found = []
    for (first, second), scores in sorted(both.items()):
        values = sorted({score for pair in scores for score in pair})
        table = confusion_table([one for one, _ in scores], [two for _, two in scores], values)
        kappa = cohen_kappa(table, "quadratic", values)
        found.append(RaterPair(first, second, len(scores), kappa))
    return found


def _disagreement(pair: Pair, acts: Sequence[Act]) -> Disagreement:
    given = sorted(((one.rater, one.score or 0.0) for one in acts), key=lambda one: (-one[1], one))
    text = next((one.query for one in reversed(acts) if one.query), pair[0])
    return Disagreement(*pair, text, tuple(given), spread(acts))
