"""Weights of scores where there are only rows of texts: of a batch, or of a whole table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers.judged_rows import judged_rows
from rankfield.schema import ScoreScale
from rankfield.weighting import DISCOUNT, LIST_WEIGHTS, pair_weights

__all__ = ["Scale", "ScoreWeights", "scale_of", "with_weights"]

Scale = ScoreScale | tuple[float, float]

_WITHOUT_SCALE = ("constant", "linear", *LIST_WEIGHTS)
"""Functions for which it does not matter where the scale ends."""


def scale_of(given: Scale | None, scores: npt.NDArray[np.float64]) -> ScoreScale:
    """Return a given scale; without one that of these scores, where 0 is worth nothing."""
    if isinstance(given, ScoreScale):
        return given
    if given is not None:
        return ScoreScale(*given, relevant=given[1])
    low, high = min(0.0, float(scores.min())), max(0.0, float(scores.max()))
    return ScoreScale(low, high, relevant=high, gain_floor=0.0)


@dataclass(frozen=True)
class ScoreWeights:
    """Scores → weights, as `pair_weights`; all may be 0.

    Without a scale "constant" is 1, "linear" max(score, 0), and "discount" and "soft_discount" give
    scores up to 0 the weight 0, whatever else a batch holds.

    Raises:
        ValueError: a function that needs the scale, and there is none.
    """

    name: str
    scale: Scale | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scale is None and self.name not in _WITHOUT_SCALE:
            raise ValueError(
                f"weight={self.name!r} needs the scores' scale: score_scale=(minimum, maximum)"
            )

    def __call__(
        self, queries: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the weight of each pair, float64 P.

        Raises:
            RecipeError: as `pair_weights`.
        """
        if self.scale is None and self.name not in LIST_WEIGHTS:
            return np.ones_like(scores) if self.name == "constant" else scores.clip(min=0.0)
        scale = scale_of(self.scale, scores)
        if (scores <= scale.floor).all() and (
            self.name in _WITHOUT_SCALE[1:] or scale.judges_wrong
        ):
            return np.zeros_like(scores)
        return pair_weights(queries, scores, scale, self.name, **self.parameters)


def with_weights(
    dataset: Any,
    weight: str = DISCOUNT,
    *,
    score_scale: Scale | None = None,
    weight_parameters: Mapping[str, Any] | None = None,
) -> Any:
    """Return a `datasets.Dataset` whose label is [score, weight], the weight by each whole list.

    A batch holds a part of a query's list; "discount" and "soft_discount" look at all of it.

    Args:
        dataset: columns of the query, the document and, named as sentence-transformers knows it
            ("score" or "label"), a number. Rows of equal text in the first column are one query.
        weight: a name of `weighting.WEIGHT_FUNCTIONS` or `weighting.LIST_WEIGHTS`, or
            "module:function".
        score_scale: (minimum, maximum) of the scores; not needed for "constant", "linear" and
            those of lists, where scores up to 0 are worth nothing.
        weight_parameters: what the function takes beside scores and scale.

    Raises:
        DataError: no such column, or a score that is not finite.
        RecipeError, ValueError: the function does not fit the scores.
    """
    rows = judged_rows(dataset)
    if rows.weights is not None:
        raise DataError(
            "expected a number in each row, found a score and a weight",
            where=f"dataset, column {rows.label!r}",
        )
    weights = ScoreWeights(weight, score_scale, weight_parameters or {})(rows.queries, rows.scores)
    pairs = np.stack([rows.scores, weights], axis=1).tolist()
    return dataset.remove_columns(rows.label).add_column(rows.label, pairs)
