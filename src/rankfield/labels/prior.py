"""What to believe of a pair before its own clicks are seen: an empirical Beta prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rankfield.labels.cells import Cells, read_cells
from rankfield.labels.click_model import Floats, Integers

__all__ = ["EVENT_COUNTS", "Prior", "fit_prior"]

EVENT_COUNTS = {"click": "clicks", "cart": "carts", "order": "orders"}
"""Event → the column that counts it."""

_BINS = 25
_START = 5.0
_WEAKEST, _STRONGEST = 0.5, 100.0
_TINY = 1e-12
_MOST = 0.98


@dataclass(frozen=True)
class Prior:
    """A Beta prior with mean m_qd and strength s for each pair.

    A search engine shows what it holds for good often and high up, and mostly it is right; what it
    hides is not average. So the mean looks at the pair's exposure, E_qd = Σ n_k θ_k as a share of
    the largest of its query: G(exposure) is the click rate, for each examined impression, of all
    pairs of about that exposure, smoothed towards the bin of more exposure and never increasing as
    exposure falls (isotonic regression: the rates of bins of few impressions are mostly chance,
    and would lift what is hardly ever shown). m_qd = ρ_q G with
    ρ_q = (C_q + s m) / (Σ E G + s m), the query's clicks over those expected. Where the engine is
    no better than chance, or worse, G is flat.

    strength: s, in certainly examined impressions.
    rates: event → m, events of the whole log for each examined impression.
    by_exposure: event → G, float64 (B,), bin b for exposures about 2^(−b/2) of the largest.
    """

    strength: float
    rates: Mapping[str, float]
    by_exposure: Mapping[str, Floats]

    def means(
        self, cells: Cells, event: str, examined: Floats, *, without_own: bool = False
    ) -> Floats:
        """Return m_qd of each pair of a piece, float64 (P,), in [0, 0.98].

        Args:
            cells: the piece.
            event: click, cart or order.
            examined: E of each pair, float64 (P,).
            without_own: leave the pair's own events out of ρ_q.
        """
        expected = self.by_exposure[event][_exposure_bins(cells.query, examined)]
        seen = self.strength * self.rates[event]
        own = cells.of_pairs(cells.counts(EVENT_COUNTS[event])), examined * expected
        happened, foreseen = (
            np.bincount(cells.query, of_pair)[cells.query].astype(np.float64) for of_pair in own
        )
        if without_own:
            happened, foreseen = happened - own[0], np.maximum(foreseen - own[1], 0)
        ratio = (happened + seen) / np.maximum(foreseen + seen, _TINY)
        means: Floats = np.minimum(ratio * expected, _MOST)
        return means


def _exposure_bins(query: Integers, examined: Floats) -> Integers:
    largest = np.zeros(int(query[-1]) + 1)
    np.maximum.at(largest, query, examined)
    share = examined / np.maximum(largest[query], _TINY)
    halves = np.round(-2 * np.log2(np.maximum(share, 2.0**-_BINS)))
    return np.clip(halves, 0, _BINS - 1).astype(np.int64)


def fit_prior(path: Path, theta: Floats, strength: float | None) -> Prior:
    """Fit the prior to a statistics file.

    Without a strength, s follows from how much more the clicks of pairs vary than chance alone
    would make them: with E[C | α] = α E and α ~ Beta(m, s), the method of moments gives
    v = Σ w [(C − E m)² − E m + m² Σ n θ²] / Σ w [E² − Σ n θ²], w = 1 / (1 + E), and
    s = m (1 − m) / v − 1, kept between 0.5 and 100; the pair's own clicks are left out of its m.

    Args:
        path: the statistics.
        theta: propensity by position, float64 (K + 1,); position 0 is any value.
        strength: s, or None to estimate it.
    """
    examined = np.zeros(_BINS)
    happened = {event: np.zeros(_BINS) for event in EVENT_COUNTS}
    for cells in read_cells(path):
        pairs = cells.of_pairs(cells.counts("impressions") * theta[cells.position])
        place = _exposure_bins(cells.query, pairs)
        examined += np.bincount(place, pairs, _BINS)
        for event, count in EVENT_COUNTS.items():
            happened[event] += np.bincount(place, cells.of_pairs(cells.counts(count)), _BINS)
    rates = {e: float(total.sum() / examined.sum()) for e, total in happened.items()}
    by_exposure = {e: _decreasing_rates(total, examined, rates[e]) for e, total in happened.items()}
    if strength is not None:
        return Prior(strength, rates, by_exposure)
    return Prior(_moments(path, theta, Prior(_START, rates, by_exposure)), rates, by_exposure)


def _decreasing_rates(happened: Floats, examined: Floats, rate: float) -> Floats:
    """Return G: the rates of the bins, smoothed, and never increasing as exposure falls."""
    from scipy.optimize import isotonic_regression

    rates = np.zeros(_BINS)
    before = rate
    for b in range(_BINS):
        # a bin of little evidence looks like the one above it, not like the log's top
        before = rates[b] = (happened[b] + _START * before) / (examined[b] + _START)
    fitted = isotonic_regression(rates, weights=examined + _START, increasing=False).x
    return np.asarray(np.minimum(fitted, 1.0))


def _moments(path: Path, theta: Floats, prior: Prior) -> float:
    """Return s by the method of moments, as `fit_prior` says."""
    excess = evidence = spread = weight = 0.0
    for cells in read_cells(path):
        n, t = cells.counts("impressions"), theta[cells.position]
        examined, squares = cells.of_pairs(n * t), cells.of_pairs(n * t * t)
        clicks = cells.of_pairs(cells.counts("clicks"))
        mean = prior.means(cells, "click", examined, without_own=True)
        w = 1 / (1 + examined)
        gap = (clicks - examined * mean) ** 2 - examined * mean + mean**2 * squares
        excess += float((w * gap).sum())
        evidence += float((w * (examined**2 - squares)).sum())
        spread += float((examined * mean * (1 - mean)).sum())
        weight += float(examined.sum())
    variance = excess / evidence if evidence > 0 else 0.0
    if variance <= 0:
        return _STRONGEST
    return float(np.clip(spread / weight / variance - 1, _WEAKEST, _STRONGEST))
