"""What the labels of a layout are worth: label → score."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rankfield.errors import DataError

__all__ = ["parse_grades", "require_grades"]


def parse_grades(text: str) -> dict[str, float]:
    """Return the scores of "LABEL=SCORE,LABEL=SCORE…".

    Raises:
        DataError: malformed, no number, or a label named twice.
    """
    grades: dict[str, float] = {}
    for part in text.split(","):
        label, _, score = (piece.strip() for piece in part.rpartition("="))
        try:
            value = float(score)
        except ValueError:
            value = math.nan
        if not label or label in grades or not math.isfinite(value):
            raise DataError(
                f"expected LABEL=SCORE, each label once, found {part.strip()!r}",
                where="grades",
                remedy="Write them as Exact=2,Partial=1,Irrelevant=0.",
            )
        grades[label] = value
    return grades


def require_grades(grades: Mapping[str, float]) -> dict[str, float]:
    """Return the scores as floats.

    Raises:
        DataError: there is none, or one that is not finite.
    """
    if not grades or not all(map(math.isfinite, grades.values())):
        raise DataError(
            f"expected a finite score for every label, found {dict(grades)}",
            where="grades",
            remedy="Write them as Exact=2,Partial=1,Irrelevant=0.",
        )
    return {label: float(score) for label, score in grades.items()}
