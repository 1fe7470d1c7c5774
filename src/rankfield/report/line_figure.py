"""A line chart for a page in two widths, with its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankfield.report.plots import line_chart

__all__ = ["NARROW", "line_figure"]

NARROW = (3.8, 2.8)
"""Inches of a figure on a narrow screen, so that text comes out at about 13 pixels."""


def line_figure(
    lines: Sequence[tuple[str, str, Mapping[int, float]]],
    *,
    y_label: str,
    x_label: str,
    wide: tuple[float, float],
    said: str,
) -> dict[str, Any]:
    """Return `legend`, (name, colour name) of each line, and the figure `wide` and `narrow`.

    Args:
        lines, y_label, x_label: as `plots.line_chart`.
        wide: inches on a wide screen.
        said: what a screen reader says.
    """
    # The figures' one foreign text, the description, is escaped there.
    drawn = {
        name: Markup(
            line_chart(lines, y_label=y_label, x_label=x_label, size=size, description=said)
        )
        for name, size in (("wide", wide), ("narrow", NARROW))
    }
    return {"legend": [(label, colour) for label, colour, _ in lines], **drawn}
