"""Counts and propensities → a score for each (query, document)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from rankfield.errors import InputError
from rankfield.labels.cells import Cells
from rankfield.labels.click_model import Floats, relevance_given
from rankfield.labels.prior import EVENT_COUNTS, Prior

__all__ = ["ESTIMATORS", "Estimator", "Scoring", "grade", "score_pairs"]

Estimator = Literal["model", "ips"]

ESTIMATORS: tuple[str, ...] = ("model", "ips")

_TINY = 1e-12
_CLIP = 0.02
"""Inverse propensities are at most 50: one lucky click far down would outweigh all others."""


@dataclass(frozen=True)
class Scoring:
    """How counts become scores.

    estimator: "model" or "ips", see `score_pairs`.
    prior: s, the strength of smoothing in certainly examined impressions, at least 0; None: what
        the log itself suggests (`prior.fit_prior`).
    event_weights: of click, cart and order, at least 0; those that the log lacks are left out.
    min_impressions: pairs shown less often get no score.

    Raises:
        InputError: a value out of range.
    """

    estimator: Estimator = "model"
    prior: float | None = None
    event_weights: Mapping[str, float] | None = None
    min_impressions: int = 1

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise InputError(
                f"expected one of {', '.join(ESTIMATORS)}, found {self.estimator!r}",
                where="estimator",
            )
        if self.prior is not None and not 0 <= self.prior < float("inf"):
            raise InputError(f"expected a number from 0, found {self.prior}", where="prior")
        if self.min_impressions < 1:
            raise InputError(
                f"expected at least 1, found {self.min_impressions}", where="min_impressions"
            )
        for event, weight in (self.event_weights or {}).items():
            if event not in EVENT_COUNTS or not 0 <= weight < float("inf"):
                raise InputError(
                    f"expected click, cart or order with a weight from 0, found {event}={weight}",
                    where="event weights",
                )

    def weights(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Return the weights of the events that the log has.

        Args:
            totals: clicks, carts and orders of the whole log.

        Raises:
            InputError: all of them are 0.
        """
        given = {"click": 1.0, "cart": 3.0, "order": 5.0} | dict(self.event_weights or {})
        weights = {e: w for e, w in given.items() if w > 0 and totals[EVENT_COUNTS[e]] > 0}
        if not weights:
            raise InputError("no event that the log has weighs above 0", where="event weights")
        return weights


def score_pairs(
    cells: Cells, theta: Floats, prior: Prior, scoring: Scoring, weights: Mapping[str, float]
) -> pl.DataFrame:
    """Return the scores of a piece's pairs.

    With n_k impressions and c_k clicks at position k, E = Σ n_k θ_k (the impressions that were
    examined, as far as one can expect), and the prior's mean m and strength s (`prior.Prior`), the
    relevance for clicks is

    - model: the α that maximises (Σ c_k + s m) log α + s (1 − m) log(1 − α)
      + Σ (n_k − c_k) log(1 − θ_k α): the position-based model's, with the prior;
    - ips: (Σ c_k / max(θ_k, 0.02) + s m) / (n + s), at most 1: the inverse propensity estimate.

    Carts and orders, rarer and often logged without a position, get (events + s m) / (E + s) with
    an m of their own; at small rates that is what the model says too. The score is the mean of
    the three with the events' weights: Σ w r / Σ w, from 0 to 1.

    Args:
        cells: the piece.
        theta: propensity of each row's position, float64 (M,); anything where the position is 0.
        prior: of the whole log.
        scoring: estimator and least impressions.
        weights: event → weight, as `Scoring.weights` gives them.

    Returns:
        query_id, doc_id, score, impressions, clicks, carts, orders (not decayed), examinations (E,
        decayed), click_relevance.
    """
    examined = cells.of_pairs(cells.counts("impressions") * theta)
    relevance = {
        event: _rate(cells, event, prior.means(cells, event, examined), examined, prior.strength)
        for event in weights
        if event != "click"
    }
    clicks = _model if scoring.estimator == "model" else _inverse
    mean = prior.means(cells, "click", examined)
    relevance["click"] = clicks(cells, theta, mean, prior.strength)
    parts = np.stack([relevance[event] for event in weights])
    score = np.average(parts, axis=0, weights=list(weights.values()))
    raw = {
        name: np.add.reduceat(cells.frame[name].to_numpy(), cells.starts)
        for name in ("impressions", *EVENT_COUNTS.values())
    }
    return (
        cells.frame[cells.starts]
        .select("query_id", "doc_id")
        .with_columns(
            score=pl.Series(score),
            **{name: pl.Series(values) for name, values in raw.items()},
            examinations=pl.Series(examined),
            click_relevance=pl.Series(relevance["click"]),
        )
        .filter(pl.col("impressions") >= scoring.min_impressions)
    )


def _rate(cells: Cells, event: str, mean: Floats, examined: Floats, strength: float) -> Floats:
    happened = cells.of_pairs(cells.counts(EVENT_COUNTS[event]))
    return np.minimum((happened + strength * mean) / np.maximum(examined + strength, _TINY), 1.0)


def _model(cells: Cells, theta: Floats, mean: Floats, strength: float) -> Floats:
    return relevance_given(
        theta,
        cells.counts("impressions"),
        cells.counts("clicks"),
        cells.starts,
        prior_clicks=strength * mean,
        prior_skips=strength * (1 - mean),
    )


def _inverse(cells: Cells, theta: Floats, mean: Floats, strength: float) -> Floats:
    shown = cells.of_pairs(cells.counts("impressions"))
    weighted = cells.of_pairs(cells.counts("clicks") / np.maximum(theta, _CLIP))
    return np.minimum((weighted + strength * mean) / np.maximum(shown + strength, _TINY), 1.0)


def grade(scores: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Return the scores' grades 0 … G: how many of the quantiles' values a score is above.

    Args:
        scores: float64 (P,).
        quantiles: ascending, in (0, 1), of all scores; G of them.

    Raises:
        InputError: quantiles out of order or range.
    """
    ascending = all(a < b for a, b in pairwise(quantiles))
    if not quantiles or not ascending or not quantiles[0] > 0 or not quantiles[-1] < 1:
        raise InputError(
            f"expected ascending numbers between 0 and 1, found {quantiles}", where="grades"
        )
    edges = np.quantile(scores, quantiles)
    return np.searchsorted(edges, scores, "left").astype(np.float64)
