"""How well click rates at one position are predicted from the same documents at other positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rankfield.labels.cells import Cells
from rankfield.labels.click_model import Floats

__all__ = ["Calibration", "CalibrationCurve"]

_BINS = np.concatenate([[0.0], np.logspace(-3, 0, 25)])
_TINY = 1e-12


@dataclass(frozen=True)
class CalibrationCurve:
    """Predicted and observed click rate, bin by bin of the predicted one.

    predicted, observed, impressions: float64 (B,), bins without impressions left out.
    log_loss: mean of −log P(what happened) over the impressions, in nats.
    """

    predicted: Floats
    observed: Floats
    impressions: Floats
    log_loss: float

    @property
    def error(self) -> float:
        """Mean |predicted − observed| over the impressions: the expected calibration error."""
        gap = np.abs(self.predicted - self.observed)
        return float((gap * self.impressions).sum() / self.impressions.sum())

    def as_json(self) -> dict[str, Any]:
        """Return the curve for labels.json."""
        return {
            "predicted": self.predicted.round(6).tolist(),
            "observed": self.observed.round(6).tolist(),
            "impressions": self.impressions.round(3).tolist(),
            "error": round(self.error, 6),
            "log_loss": round(self.log_loss, 6),
        }


class Calibration:
    """Collects held-out predictions, piece by piece.

    The rate of a document at position k is predicted from its impressions at all other positions:
    θ_k (C − c_k + s m) / (E − n_k θ_k + s), with C the clicks, E = Σ n θ, m the log's rate and s
    the prior's strength. A propensity that is wrong shows as a rate that is. Pairs shown at one
    position only are left out: nothing is held out of them.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((3, len(_BINS) - 1))
        self._loss = 0.0

    def add(self, cells: Cells, theta: Floats, mean: float, strength: float) -> None:
        """Add a piece.

        Args:
            theta: of each row's position, float64 (M,).
            mean: m, clicks of the log for each examined impression.
            strength: s.
        """
        n, c = cells.counts("impressions"), cells.counts("clicks")
        sizes = np.diff(cells.starts, append=len(n))
        examined = n * theta
        others = np.repeat(cells.of_pairs(examined), sizes) - examined
        clicks = np.repeat(cells.of_pairs(c), sizes) - c
        # what is left of a subtraction of equal sums is not evidence
        held_out = (n > 0) & (others > 1e-9)
        rate = (clicks + strength * mean) / np.maximum(others + strength, _TINY)
        predicted = np.clip(theta * np.minimum(rate, 1), 1e-6, 1 - 1e-6)[held_out]
        n, c = n[held_out], c[held_out]
        place = np.clip(np.searchsorted(_BINS, predicted, "right") - 1, 0, len(_BINS) - 2)
        for i, values in enumerate((n, n * predicted, c)):
            self._sums[i] += np.bincount(place, values, len(_BINS) - 1)
        self._loss -= float((c * np.log(predicted) + (n - c) * np.log1p(-predicted)).sum())

    def curve(self) -> CalibrationCurve | None:
        """Return the curve, or None if no pair was shown at two positions."""
        n, predicted, clicks = self._sums[:, self._sums[0] > 0]
        if n.size == 0:
            return None
        return CalibrationCurve(predicted / n, clicks / n, n, self._loss / float(n.sum()))
