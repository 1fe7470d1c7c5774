"""Backgrounds of product images: a studio, a gradient, a surface, a room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from rankfield.synthetic.surface import Plane

__all__ = ["scenery"]

_TINTS = np.array(
    [
        (246, 246, 246), (236, 238, 241), (241, 236, 228), (224, 231, 236), (233, 226, 218),
        (226, 233, 224), (240, 228, 229), (212, 214, 217), (205, 212, 220), (229, 222, 235),
    ],
    np.float32,
)  # fmt: skip
_FLOORS = np.array([(186, 150, 112), (160, 128, 98), (200, 190, 176), (150, 146, 142)], np.float32)


def scenery(
    solid: Image.Image, grit: Plane, ground: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a background (side, side, 3) in levels, with the shadow of the product on it.

    `ground` is the height where the product stands, as a share of the image's.
    """
    side = solid.width
    tint = _TINTS[int(rng.integers(len(_TINTS)))]
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    kind = rng.random()
    if kind < 0.3:
        place = np.full((side, side, 3), 250, np.float32)
    elif kind < 0.55:
        place = np.broadcast_to(tint * (1.05 - 0.22 * down), (side, side, 3)).copy()
    elif kind < 0.75:
        place = _studio(side, tint, rng)
    elif kind < 0.87:
        place = tint * (0.93 + np.float32(0.035) * grit)[..., None]
    else:
        place = _room(side, tint, ground, rng)
    return place * (1 - _shadow(solid, rng))[..., None]


def _studio(side: int, tint: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light a backdrop from somewhere above the middle, darker towards the corners."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = axis[None, :] - np.float32(rng.uniform(-0.4, 0.4)), axis[:, None] + np.float32(0.3)
    fall = np.float32(1.06) - np.float32(0.16) * (x * x + y * y)
    return tint * fall[..., None]


def _room(
    side: int, tint: NDArray[np.float32], ground: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Put a wall above and a floor of boards below."""
    axis = np.linspace(0, 1, side, dtype=np.float32)
    place = np.broadcast_to(tint * (0.97 - 0.08 * axis[:, None, None]), (side, side, 3)).copy()
    edge = int(side * np.clip(ground - rng.uniform(0.06, 0.2), 0.5, 0.92))
    floor = _FLOORS[int(rng.integers(len(_FLOORS)))] * np.float32(rng.uniform(0.9, 1.12))
    rows = side - edge
    depth = np.linspace(0.55, 1, rows, dtype=np.float32)[:, None]
    boards = np.floor((axis[None, :] - 0.5) / depth * 9) % 2
    place[edge:] = floor * (0.97 + 0.05 * boards + 0.06 * (depth - 0.75))[..., None]
    place[max(edge - 3, 0) : edge] *= 0.9
    return place


def _shadow(solid: Image.Image, rng: np.random.Generator) -> Plane:
    """Return how dark the product's soft shadow is at each pixel, in [0, 1]."""
    side = solid.width
    right, down = int(rng.normal(0, 0.03) * side), int(rng.uniform(0.015, 0.05) * side)
    moved = ImageChops.offset(solid, right, down)
    soft = moved.filter(ImageFilter.BoxBlur(side * rng.uniform(0.02, 0.05)))
    return np.asarray(soft, np.float32) * np.float32(rng.uniform(0.15, 0.42) / 255)
