"""The judgments of `rankfield metrics` and the scale of their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rankfield.errors import InputError
from rankfield.terminal import echo

if TYPE_CHECKING:
    import polars as pl

    from rankfield.metrics import Metric, OwnMetric
    from rankfield.schema import ScoreScale

__all__ = ["read_judgments", "say_highest_grade"]


def read_judgments(
    path: Path, scale: str | None, relevant: float | None, split: str | None
) -> tuple[pl.DataFrame, ScoreScale]:
    """Return the judgments and their scale."""
    from rankfield.formats.guesses import guess_scale
    from rankfield.formats.rankings import read_judged_pairs

    judged = read_judged_pairs(path, split=split)
    low, high = _bounds(scale) if scale else (None, None)
    found = guess_scale(judged["score"], minimum=low, maximum=high)
    outside = (judged["score"] > found.maximum) | (judged["score"] < found.minimum)
    if outside.any():
        query, document, score = judged.row(int(outside.arg_max() or 0))
        raise InputError(
            f"the score {score:g} of {document!r} for {query!r} is outside {found.minimum:g} to "
            f"{found.maximum:g}",
            where="--scale",
            remedy="State the true ends, or the upper one alone, --scale :MAX: then scores of 0 "
            "and below gain nothing.",
        )
    return judged, found if relevant is None else replace(found, relevant=relevant)


def _bounds(scale: str) -> tuple[float | None, float]:
    """Return both ends of the scale, None where the lower one is left out."""
    low, colon, high = scale.partition(":")
    try:
        least, most = float(low) if low.strip() else None, float(high)
    except ValueError:
        least, most = math.nan, math.nan
    if colon and math.isfinite(most) and (least is None or -math.inf < least < most):
        return least, most
    raise InputError(
        f"expected MIN:MAX, two finite numbers, the smaller first, found {scale!r}",
        where="--scale",
        remedy="Write --scale 0:4, or --scale :4.",
    )


def say_highest_grade(metrics: Sequence[Metric | OwnMetric], scale: ScoreScale) -> None:
    """Say which highest grade ERR takes where no scale is stated: it decides the figure."""
    from rankfield.metrics import GainMap, Metric

    highest = GainMap(scale).highest_grade
    found = [m for m in metrics if isinstance(m, Metric) and m.family == "ERR"]
    if any(m.value("max") is None for m in found) and highest < 4:
        echo(
            f"ERR takes {highest:g}, the largest judged score, for the highest grade: state it "
            f"(--scale :{math.floor(highest) + 1}), or take gdeval's, ERR(max=4)."
        )
