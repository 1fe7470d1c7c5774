"""The position-based click model, fitted by EM on counts.

P(click | query q, document d, position k) = θ_k · α_qd: a click happens where the position is
examined (propensity θ) and the document attracts (relevance α).

Craswell, Zoeter, Taylor, Ramsey: An experimental comparison of click position-bias models. WSDM
2008. Chuklin, Markov, de Rijke: Click Models for Web Search. Morgan & Claypool 2015, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankfield.errors import InputError

__all__ = ["ClickCounts", "PositionModel", "fit_position_model", "relevance_given"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LEAST, _MOST = 1e-9, 1 - 1e-9


@dataclass(frozen=True)
class ClickCounts:
    """The sufficient statistics of the model: one cell for each pair and position it was shown at.

    pair: int64 (M,), ascending, every number from 0 to P − 1 at least once.
    position: int64 (M,), from 1 on; a pair has each position at most once.
    impressions, clicks: float64 (M,), 0 ≤ clicks ≤ impressions, impressions > 0; decayed counts
        need not be whole.

    Raises:
        InputError: other lengths, order or ranges.
    """

    pair: Integers
    position: Integers
    impressions: Floats
    clicks: Floats

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.pair, self.position, self.impressions, self.clicks)}
        if len(shapes) != 1:
            raise InputError(f"expected equally long columns, found {shapes}", where="click counts")
        if self.pair.size == 0:
            return
        steps = np.diff(self.pair)
        if self.pair[0] != 0 or ((steps != 0) & (steps != 1)).any():
            raise InputError("expected pairs numbered 0, 1, 2 … in order", where="click counts")
        if self.position.min() < 1:
            raise InputError("expected positions from 1 on", where="click counts")
        fine = (self.clicks >= 0) & (self.clicks <= self.impressions) & (self.impressions > 0)
        if not fine.all():
            raise InputError("expected 0 ≤ clicks ≤ impressions > 0", where="click counts")

    @property
    def starts(self) -> Integers:
        """Where each pair's cells begin, int64 (P,)."""
        return np.flatnonzero(np.diff(self.pair, prepend=-1)).astype(np.int64)


@dataclass(frozen=True)
class PositionModel:
    """What the fit found.

    propensities: float64 (K,), θ of positions 1 … K with max 1; NaN where nothing was shown.
    relevance: float64 (P,), α at the same scale; θ · α is what the data determine.
    log_likelihoods: after each iteration, never decreasing.
    converged: whether the steps became small enough before the iterations ran out.
    """

    propensities: Floats
    relevance: Floats
    log_likelihoods: tuple[float, ...]
    converged: bool


def fit_position_model(
    counts: ClickCounts,
    *,
    start: Floats | None = None,
    tolerance: float = 1e-5,
    max_iterations: int = 1500,
) -> PositionModel:
    """Maximise Σ c log(θ_k α_p) + (n − c) log(1 − θ_k α_p) by EM.

    E: of an impression without a click, P(examined) = θ(1 − α) / (1 − θα), P(attracted) =
    α(1 − θ) / (1 − θα); of a clicked one both are 1. M: θ_k and α_p become their means over the
    impressions of the position and of the pair. EM creeps along the ridge of equal θα, so every
    third step is extrapolated (SQUAREM, scheme S3 of Varadhan and Roland 2008, on log odds) and
    kept only if the likelihood does not fall.

    It is deterministic. Only pairs with clicks that
    were shown at two or more positions tell anything of θ; which positions can be compared at all
    is for `propensities.linked_positions` to say.

    Args:
        start: θ of positions 1 … K to begin with; by default from the positions' click rates.
        tolerance: converged once no θ, as a share of the largest, moves by more than this share of
            itself in an EM step.
        max_iterations: EM steps at most.

    Raises:
        InputError: no counts.
    """
    if counts.pair.size == 0:
        raise InputError("expected at least one cell", where="click counts")
    step = _EmStep(counts)
    state = step.start(start)
    history = [step.log_likelihood(state)]
    converged = False
    for _ in range(max(1, max_iterations // 3)):
        one = step(state)
        two = step(one)
        moved = np.abs(step.scaled(two) / step.scaled(one) - 1).max()
        best, value = two, step.log_likelihood(two)
        jumped = step(_extrapolated(state, one, two))
        if (jumped_value := step.log_likelihood(jumped)) > value:
            best, value = jumped, jumped_value
        state = best
        # EM never falls but by rounding
        history.append(max(value, history[-1]))
        if moved < tolerance:
            converged = True
            break
    theta, alpha = state[: step.K].copy(), state[step.K :]
    scale = theta[step.shown].max()
    theta[~step.shown] = np.nan
    return PositionModel(theta / scale, np.minimum(alpha * scale, 1.0), tuple(history), converged)


class _EmStep:
    """One step of EM on the vector of all θ, then all α."""

    def __init__(self, counts: ClickCounts) -> None:
        self.k = counts.position - 1
        self.K = int(counts.position.max())
        self.n, self.c = counts.impressions, counts.clicks
        self.skips = self.n - self.c
        self.starts = counts.starts
        self.sizes = np.diff(self.starts, append=len(counts.pair))
        self.n_pair = np.add.reduceat(self.n, self.starts)
        self.n_position = np.bincount(self.k, self.n, self.K)
        self.shown = self.n_position > 0

    def start(self, theta: Floats | None) -> Floats:
        if theta is None:
            clicks = np.bincount(self.k, self.c, self.K)
            rates = (clicks + 0.5) / (self.n_position + 1)
            theta = rates / rates[self.shown].max()
        theta = np.clip(theta, 1e-4, 0.99)
        seen = np.add.reduceat(self.n * theta[self.k], self.starts)
        alpha = (np.add.reduceat(self.c, self.starts) + 0.5) / (seen + 1)
        return np.concatenate([theta, np.clip(alpha, 0.01, 0.99)])

    def scaled(self, state: Floats) -> Floats:
        """Return θ of the positions shown as shares of the largest: its scale means nothing."""
        theta = state[: self.K][self.shown]
        shares: Floats = theta / theta.max()
        return shares

    def _cells(self, state: Floats) -> tuple[Floats, Floats]:
        return state[self.k], np.repeat(state[self.K :], self.sizes)

    def __call__(self, state: Floats) -> Floats:
        theta, alpha = self._cells(state)
        per_skip = self.skips / (1 - theta * alpha)
        examined = self.c + per_skip * theta * (1 - alpha)
        attracted = self.c + per_skip * alpha * (1 - theta)
        new_theta = np.bincount(self.k, examined, self.K) / np.maximum(self.n_position, _LEAST)
        new_alpha = np.add.reduceat(attracted, self.starts) / self.n_pair
        new: Floats = np.clip(np.concatenate([new_theta, new_alpha]), _LEAST, _MOST)
        return new

    def log_likelihood(self, state: Floats) -> float:
        theta, alpha = self._cells(state)
        p = theta * alpha
        return float((self.c * np.log(p) + self.skips * np.log1p(-p)).sum())


def _extrapolated(zero: Floats, one: Floats, two: Floats) -> Floats:
    """Return SQUAREM's jump from three states, each step of EM apart."""
    a, b, c = (np.log(x / (1 - x)) for x in (zero, one, two))
    r, v = b - a, (c - b) - (b - a)
    size = float(np.linalg.norm(v))
    length = -max(1.0, float(np.linalg.norm(r)) / size) if size > 0 else -1.0
    jumped = a - 2 * length * r + length**2 * v
    state: Floats = np.clip(1 / (1 + np.exp(-np.clip(jumped, -30, 30))), _LEAST, _MOST)
    return state


def relevance_given(
    theta: Floats,
    impressions: Floats,
    clicks: Floats,
    starts: Integers,
    *,
    prior_clicks: Floats,
    prior_skips: Floats,
) -> Floats:
    """Return each pair's most likely α under known propensities and a Beta prior.

    It maximises (C + a) log α + b log(1 − α) + Σ_k (n_k − c_k) log(1 − θ_k α), which is concave, by
    Newton's method kept within a shrinking bracket. The prior is Beta(a + 1, b + 1): a clicks and b
    skips of certainly examined impressions, seen beforehand.

    Args:
        theta: propensity of each cell's position, float64 (M,), in (0, 1].
        impressions, clicks: float64 (M,).
        starts: where each pair's cells begin, int64 (P,).
        prior_clicks, prior_skips: a and b, float64 (P,), at least 0.

    Returns:
        float64 (P,), in [0, 1]; 0 where there is no click and a is 0.
    """
    sizes = np.diff(starts, append=len(theta))
    positive = np.add.reduceat(clicks, starts) + prior_clicks
    skips = impressions - clicks
    weight = np.add.reduceat(impressions * theta, starts) + prior_clicks + prior_skips
    low, high = np.zeros(len(starts)), np.ones(len(starts))
    # next to 1, where the slope is infinite, Newton would only double its steps
    alpha = np.clip(positive / np.maximum(weight, _LEAST), 1e-6, 0.9)
    for _ in range(60):
        cell = theta / (1 - theta * np.repeat(alpha, sizes))
        slope = positive / alpha - prior_skips / (1 - alpha)
        slope -= np.add.reduceat(skips * cell, starts)
        curve = positive / alpha**2 + prior_skips / (1 - alpha) ** 2
        curve += np.add.reduceat(skips * cell**2, starts)
        low, high = np.where(slope > 0, alpha, low), np.where(slope > 0, high, alpha)
        newton = alpha + slope / np.maximum(curve, _LEAST)
        # where it stands still it has arrived: halving would throw it off again
        new = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        new = np.clip(new, _LEAST, 1 - 1e-12)
        # Near an end Newton only doubles the distance to it: small steps there are far from done.
        done = (np.abs(new - alpha) <= 1e-8 * np.minimum(new, 1 - new)).all()
        alpha = new
        if done:
            break
    return np.where(positive > 0, alpha, 0.0)
