"""Outlines in the unit square [−1, 1]², y downwards: the strokes that silhouettes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BODY",
    "DARK",
    "PALE",
    "TRIM",
    "Part",
    "Points",
    "ellipse",
    "mirrored",
    "polygon",
    "rectangle",
    "smooth",
    "stroke",
]

Points = NDArray[np.float64]

BODY = 1
TRIM = 2
DARK = 3
PALE = 4
"""What a part is painted as: the product's own colour and pattern, its trim, a hole, a white."""


class Part(NamedTuple):
    """A filled outline (n, 2), what it is painted as, and its brightness (1 is neutral)."""

    layer: int
    points: Points
    shade: float = 1.0


def polygon(*points: tuple[float, float]) -> Points:
    """Return the points as they are."""
    return np.array(points, np.float64)


def rectangle(x0: float, y0: float, x1: float, y1: float, round_by: float = 0.0) -> Points:
    """Return a rectangle whose corners are rounded by a radius."""
    if round_by <= 0:
        return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    r = min(round_by, (x1 - x0) / 2, (y1 - y0) / 2)
    corners = (
        (x1 - r, y0 + r, -90),
        (x1 - r, y1 - r, 0),
        (x0 + r, y1 - r, 90),
        (x0 + r, y0 + r, 180),
    )
    return np.concatenate([ellipse(x, y, r, r, a, a + 90, n=7) for x, y, a in corners])


def ellipse(  # noqa: PLR0917  as a drawing reads: where, how large, which arc
    x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360, *, n: int = 36
) -> Points:
    """Return the arc of an ellipse from `start` to `stop` degrees, clockwise from the right."""
    angle = np.radians(np.linspace(start, stop, n))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def smooth(
    points: Sequence[tuple[float, float]], *, closed: bool = True, rounds: int = 3
) -> Points:
    """Round a polygon's corners by Chaikin's corner cutting."""
    line = np.array(points, np.float64)
    for _ in range(rounds):
        after = np.roll(line, -1, 0) if closed else line[1:]
        before = line if closed else line[:-1]
        cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], 1)
        inner = cut.reshape(-1, 2)
        line = inner if closed else np.concatenate([line[:1], inner, line[-1:]])
    return line


def mirrored(half: Sequence[tuple[float, float]], *, rounds: int = 2) -> Points:
    """Complete the right half of an outline, from top to bottom, by its mirror image."""
    right = smooth(half, closed=False, rounds=rounds) if rounds else np.array(half, np.float64)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def stroke(line: Points | Sequence[tuple[float, float]], width: float) -> Points:
    """Return the outline of a line drawn with a pen of that width."""
    points = np.asarray(line, np.float64)
    along = np.gradient(points, axis=0)
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = along[:, ::-1] * (-1, 1) / length * (width / 2)
    return np.concatenate([points + across, (points - across)[::-1]])
