"""The figure of a click model: propensity by position, and predicted against observed rates."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rankfield.files import new_file
from rankfield.report.plots import figure_style

__all__ = ["CalibrationCurve", "FittedLabels", "PositionPropensities", "calibration_figure"]

_ACCENT, _TEAL, _FAINT = "#c2410c", "#0f766e", "#9aa5b1"


class CalibrationCurve(Protocol):
    """Predicted and observed rates and how many impressions they rest on, float64 (B,) each."""

    @property
    def predicted(self) -> NDArray[np.float64]:
        """Mean predicted click rate of each bin."""

    @property
    def observed(self) -> NDArray[np.float64]:
        """Click rate of each bin."""

    @property
    def impressions(self) -> NDArray[np.float64]:
        """Of each bin."""


class PositionPropensities(Protocol):
    """θ of positions 1 … K, float64 (K,), and which were measured, bool (K,)."""

    @property
    def values(self) -> NDArray[np.float64]:
        """θ."""

    @property
    def estimated(self) -> NDArray[np.bool_]:
        """Whether measured, not drawn from the others."""


class FittedLabels(Protocol):
    """What the figure shows; `curation.labels.Labels` is one."""

    @property
    def propensities(self) -> PositionPropensities:
        """By position."""

    @property
    def corrected(self) -> CalibrationCurve | None:
        """With the propensities."""

    @property
    def raw(self) -> CalibrationCurve | None:
        """With none."""


def calibration_figure(path: str | Path, labels: FittedLabels) -> None:
    """Draw the propensities by position, and predicted against observed click rates, as SVG.

    The rates are those of held-out positions (`curation.labels.calibration`), with the propensities
    and without; on the diagonal the prediction is right. The same labels give the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    with figure_style():
        figure = Figure(figsize=(9, 4.2), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        _draw_propensities(left, labels.propensities)
        _draw_calibration(right, labels)
        with new_file(path) as temporary, temporary.open("wb") as file:
            figure.savefig(file, format="svg", metadata={"Date": None})


def _draw_propensities(axes: Axes, found: PositionPropensities) -> None:
    places = np.arange(1, len(found.values) + 1)
    marker = "o" if places.size <= 30 else ""
    axes.plot(places, found.values, color=_ACCENT, lw=2, marker=marker, ms=4)
    drawn = ~found.estimated
    if drawn.any():
        axes.plot(
            places[drawn], found.values[drawn], "o", color="white", mec=_FAINT, ms=6,
            label="not identified",
        )  # fmt: skip
        axes.legend(frameon=False)
    axes.set(xlabel="position", ylabel="propensity", ylim=(0, 1.05))
    axes.locator_params(axis="x", integer=True)
    axes.set_title("Examined, as a share of the best position", loc="left", fontsize=10)


def _draw_calibration(axes: Axes, labels: FittedLabels) -> None:
    axes.set_title("Click rate at held-out positions", loc="left", fontsize=10)
    axes.set(xlabel="predicted", ylabel="observed")
    curves = [
        (name, colour, curve)
        for name, colour, curve in (
            ("uncorrected", _FAINT, labels.raw),
            ("corrected", _TEAL, labels.corrected),
        )
        if curve is not None
    ]
    if not curves:
        axes.text(0.5, 0.5, "no pair was shown at two positions", ha="center", color=_FAINT)
        return
    highest = max(max(c.predicted.max(), c.observed.max()) for _, _, c in curves) * 1.05
    axes.plot([0, highest], [0, highest], color=_FAINT, lw=1, ls=":")
    for name, colour, curve in curves:
        size = 8 + 60 * np.sqrt(curve.impressions / curve.impressions.max())
        axes.plot(curve.predicted, curve.observed, color=colour, lw=1.5)
        axes.scatter(curve.predicted, curve.observed, s=size, color=colour, label=name)
    axes.set(xlim=(0, highest), ylim=(0, highest))
    axes.legend(frameon=False)
