"""Score → weight: how much a judged pair counts in the loss.

GCL (Zhu, Jung, Clark, arXiv 2404.08535) turns the score of a pair into a weight by a
score-to-weight function. Each function here is defined on the score's stated scale
[minimum, maximum] and gives a finite weight ≥ 0, larger for a larger score. With r the rank that
corresponds to a score, r = (maximum − s) / step + 1:

constant      1
linear        max(s − z, 0) / (maximum − z), z the score that is worth nothing (`ScoreScale.floor`)
inverse       1 / r
inverse_sqrt  1 / √r
log           1 / log₂(r + 1), the discount of DCG
exponential   exp((s − maximum) / (temperature · (maximum − minimum)))
piecewise     straight lines between given points [[score, weight], …], constant outside them
module:name   any importable function (scores, scale) → weights

On a scale that reaches below z, a score ≤ z says that a document is wrong: all functions but the
last two give it the weight 0.

Two more depend on the position in the query's own list: "soft_discount" (`soft_discount_weights`)
and "discount" (`discount_weights`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rankfield.errors import RecipeError
from rankfield.messages import did_you_mean
from rankfield.schema import ScoreScale
from rankfield.soft_grades import soft_grades
from rankfield.sorting import sorted_order

__all__ = [
    "DISCOUNT",
    "LIST_WEIGHTS",
    "SOFT_DISCOUNT",
    "WEIGHT_FUNCTIONS",
    "discount_weights",
    "grade_shares",
    "ordered_grade_shares",
    "pair_weights",
    "score_weights",
    "soft_discount_weights",
]

Floats = NDArray[np.float64]


def _constant(scores: Floats, _scale: ScoreScale) -> Floats:
    return np.ones_like(scores)


def _linear(scores: Floats, scale: ScoreScale) -> Floats:
    return scale.linear_gain(scores) / (scale.span or 1.0)


def _rank(scores: Floats, scale: ScoreScale, step: float) -> Floats:
    if not step > 0:
        raise RecipeError(f"expected a step above 0, found {step}", where="weight function")
    return (scale.maximum - scores) / step + 1.0


def _inverse(scores: Floats, scale: ScoreScale, *, step: float = 1.0) -> Floats:
    return 1.0 / _rank(scores, scale, step)


def _inverse_sqrt(scores: Floats, scale: ScoreScale, *, step: float = 1.0) -> Floats:
    return 1.0 / np.sqrt(_rank(scores, scale, step))


def _log(scores: Floats, scale: ScoreScale, *, step: float = 1.0) -> Floats:
    return 1.0 / np.log2(_rank(scores, scale, step) + 1.0)


def _exponential(scores: Floats, scale: ScoreScale, *, temperature: float = 0.2) -> Floats:
    if not temperature > 0:
        raise RecipeError(
            f"expected a temperature above 0, found {temperature}", where="weight function"
        )
    spread = (scale.maximum - scale.minimum) or 1.0
    return np.exp((scores - scale.maximum) / (temperature * spread))


def _piecewise(
    scores: Floats, _scale: ScoreScale, *, points: Sequence[Sequence[float]] = ()
) -> Floats:
    try:
        table = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or table.shape[1] != 2 or (np.diff(table[:, 0]) <= 0).any():
        raise RecipeError(
            f"expected points [[score, weight], …] with ascending scores, found {points!r}",
            where="weight function 'piecewise'",
        )
    return np.interp(scores, table[:, 0], table[:, 1])


WEIGHT_FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "constant": _constant,
    "linear": _linear,
    "inverse": _inverse,
    "inverse_sqrt": _inverse_sqrt,
    "log": _log,
    "exponential": _exponential,
    "piecewise": _piecewise,
}
"""Name → function (scores, scale, **parameters) → weights; formulas in the module's docstring."""
# "piecewise" and imported functions give the weight of each score themselves.
_OF_THE_SCALE = WEIGHT_FUNCTIONS.keys() - {"piecewise"}


def score_weights(
    scores: Sequence[float] | Floats, scale: ScoreScale, name: str, **parameters: object
) -> Floats:
    """Return the weight of each score, float64 of the same length.

    Args:
        scores: finite scores within the scale.
        scale: the data set's score scale.
        name: a key of `WEIGHT_FUNCTIONS`, or "module:function" to import.
        parameters: what the function takes beside scores and scale (step, temperature, points).

    Raises:
        RecipeError: unknown name or parameter, a score outside the scale, or weights that are not
            finite, are negative, or are all zero.
    """
    values = np.asarray(scores, dtype=np.float64)
    _check_scores(values, scale, name)
    try:
        weights = np.asarray(_function(name)(values, scale, **parameters), dtype=np.float64)
    except TypeError as error:
        raise RecipeError(
            f"cannot be called with {sorted(parameters)} ({error})",
            where=f"weight function {name!r}",
        ) from error
    if scale.judges_wrong and name in _OF_THE_SCALE:
        weights = np.where(values <= scale.floor, 0.0, weights)
    _check_weights(values, weights, name)
    return weights


DISCOUNT = "discount"
"""The name of the weight that depends on a query's own list, `discount_weights`."""

SOFT_DISCOUNT = "soft_discount"
"""The name of the same with soft borders between grades, `soft_discount_weights`."""


def grade_shares(queries: NDArray[np.int64], scores: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return each pair's share in its grade and its rank, both of length P.

    A query's judged documents form grades of equal score. With n(g) the number of documents of
    grade g and g = 1 the best one,

        share = min(1, n(1) / max_{h ≤ g} n(h))         rank = 1 + the number judged higher

    so that no grade has more mass than the best one, and no document more than a better one: a
    long tail of low grades does not drown a few high ones. Where no scores are equal all shares
    are 1.

    Args:
        queries: P query numbers.
        scores: P finite scores, of which only the order matters.
    """
    order = sorted_order((-scores, queries))
    share, rank = np.empty(len(order)), np.empty(len(order), dtype=np.int64)
    share[order], rank[order] = ordered_grade_shares(queries[order], scores[order])
    return share, rank


def ordered_grade_shares(
    owner: NDArray[np.int64], ordered: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Return `grade_shares` of pairs that are ordered by query, the highest score first."""
    new_query = np.ones(len(owner), dtype=bool)
    new_query[1:] = owner[1:] != owner[:-1]
    new_grade = new_query.copy()
    new_grade[1:] |= ordered[1:] != ordered[:-1]
    grade = np.cumsum(new_grade) - 1
    first, starts = np.flatnonzero(new_grade), np.flatnonzero(new_query)
    size = np.diff(np.append(first, len(owner)))
    query = np.cumsum(new_query[first]) - 1  # of each grade
    best = size[grade[starts]]
    # The running maximum of each query's sizes: an offset keeps the queries apart.
    offset = query * (len(owner) + 1)
    largest = np.maximum.accumulate(size + offset) - offset
    share = np.minimum(1.0, best[query] / largest)
    return share[grade], (first - starts[query] + 1)[grade]


def discount_weights(queries: NDArray[np.int64], scores: Floats, scale: ScoreScale) -> Floats:
    """Return each pair's weight by its position in its query's list, float64 of the same length.

        w = share / log₂(1 + rank)                      0 where the score has no gain

    with share and rank of `grade_shares`: the discount of DCG at the first position of its grade in
    the ideal order, reduced where a grade holds more documents than the best one. Only the order of
    the scores matters, whatever the scale, except that one of gain 0 (score ≤ ``scale.floor``) says
    that a document is wrong: its weight is 0.

    Args:
        queries: P query numbers.
        scores: P finite scores.
        scale: the data set's score scale.

    Raises:
        RecipeError: a score outside the scale, or all weights are 0.
    """
    _check_scores(scores, scale, DISCOUNT)
    share, rank = grade_shares(queries, scores)
    weights: Floats = share / np.log2(1.0 + rank)
    weights[scores <= scale.floor] = 0.0
    _check_weights(scores, weights, DISCOUNT)
    return weights


def soft_discount_weights(queries: NDArray[np.int64], scores: Floats, scale: ScoreScale) -> Floats:
    """Return each pair's weight by its position in its query's list, float64 of the same length.

        w = presence · share / log₂(1 + rank)

    with those of `soft_grades`: `discount_weights` with soft borders between the grades. For
    scores that are grades, up to five above ``scale.floor``, the two are the same.

    Args:
        queries: P query numbers.
        scores: P finite scores.
        scale: the data set's score scale.

    Raises:
        RecipeError: a score outside the scale, or all weights are 0.
    """
    _check_scores(scores, scale, SOFT_DISCOUNT)
    found = soft_grades(queries, scale.linear_gain(scores), scale.span)
    weights: Floats = found.presence * found.share / np.log2(1.0 + found.rank)
    _check_weights(scores, weights, SOFT_DISCOUNT)
    return weights


LIST_WEIGHTS: dict[str, Callable[[NDArray[np.int64], Floats, ScoreScale], Floats]] = {
    SOFT_DISCOUNT: soft_discount_weights,
    DISCOUNT: discount_weights,
}
"""Name → function (queries, scores, scale) → weights that depend on a query's own list."""


def pair_weights(
    queries: NDArray[np.int64],
    scores: Floats,
    scale: ScoreScale,
    name: str,
    **parameters: object,
) -> Floats:
    """Return each pair's weight by the function of any name, float64 of the same length.

    A function of `LIST_WEIGHTS`, `score_weights` for every other.

    Raises:
        RecipeError: as they do, or a function of `LIST_WEIGHTS` with parameters.
    """
    if name not in LIST_WEIGHTS:
        return score_weights(scores, scale, name, **parameters)
    if parameters:
        raise RecipeError(
            f"takes no parameters, found {', '.join(sorted(parameters))}",
            where=f"weight function {name!r}",
            remedy="Remove them (loss.weight_parameters), or choose another loss.weight.",
        )
    return LIST_WEIGHTS[name](queries, scores, scale)


def _check_scores(values: Floats, scale: ScoreScale, name: str) -> None:
    low, high = scale.limits
    outside = ~((values >= low) & (values <= high))
    if outside.any():
        raise RecipeError(
            f"score {values[outside][0]} lies outside the stated scale "
            f"[{scale.minimum}, {scale.maximum}]",
            where=f"weight function {name!r}",
            remedy="State the true scale in dataset.toml.",
        )


def _check_weights(values: Floats, weights: Floats, name: str) -> None:
    where = f"weight function {name!r}"
    if weights.shape != values.shape:
        raise RecipeError(f"gave shape {weights.shape} for {values.shape} scores", where=where)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        raise RecipeError(
            f"gave the weight {weights[bad][0]} for the score {values[bad][0]}; "
            "expected finite weights ≥ 0",
            where=where,
        )
    if weights.size and not weights.any():
        raise RecipeError("gave only zeros, nothing would be learnt", where=where)


def _function(name: str) -> Callable[..., Floats]:
    if name in WEIGHT_FUNCTIONS:
        return WEIGHT_FUNCTIONS[name]
    if name == DISCOUNT:
        raise RecipeError(
            "depends on a query's own list, not on a score alone",
            where=f"weight function {name!r}",
            remedy="Call discount_weights(queries, scores, scale).",
        )
    module, colon, attribute = name.partition(":")
    if not colon:
        known = [*WEIGHT_FUNCTIONS, *LIST_WEIGHTS]
        raise RecipeError(
            f"unknown; expected one of {', '.join(known)} or module:function",
            where=f"weight function {name!r}",
            remedy=did_you_mean(name, known),
        )
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"cannot be imported ({error})",
            where=f"weight function {name!r}",
            remedy=f"Is its folder on the Python path? ({sys.path[0] or '.'} comes first)",
        ) from error
    if not callable(function):
        raise RecipeError("is not a function", where=f"weight function {name!r}")
    return function  # type: ignore[no-any-return]
