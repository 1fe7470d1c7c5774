"""Patterns and materials as functions of a place (u, v) on the product, about [−1, 1]²."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfield.synthetic.vocabulary import MATERIALS, PATTERNS

__all__ = ["gloss", "grain", "pattern"]

Plane = NDArray[np.float32]

_GLOSS = {
    "ceramic": (0.5, 14.0),
    "glass": (0.85, 26.0),
    "metal": (0.6, 8.0),
    "wood": (0.05, 4.0),
    "plastic": (0.3, 6.0),
    "leather": (0.22, 5.0),
    "cotton": (0.0, 1.0),
    "wool": (0.0, 1.0),
    "silk": (0.38, 3.0),
}


def gloss(material: int) -> tuple[float, float]:
    """Return the strength and the sharpness of a material's highlight."""
    return _GLOSS[MATERIALS[material].name]


def pattern(kind: int, u: Plane, v: Plane, rng: np.random.Generator) -> Plane | None:
    """Return how much of the second colour shows at each place, in [0, 1]; None for plain."""
    draw = _PATTERNS[PATTERNS[kind].name]
    return draw(u, v, np.float32(rng.uniform(0.85, 1.25)), rng) if draw else None


def grain(material: int, u: Plane, v: Plane, noise: Plane, rng: np.random.Generator) -> Plane:
    """Return the brightness that the material's texture gives each place, around 1."""
    draw = _GRAINS.get(MATERIALS[material].name)
    return draw(u, v, noise, np.float32(rng.random())) if draw else np.ones_like(u)


def _plane(value: Any) -> Plane:
    return np.asarray(value, np.float32)


def _step(value: Plane) -> Plane:
    """Cut at zero, with an edge that is a little soft."""
    return _plane(np.clip(value * np.float32(5) + np.float32(0.5), 0, 1))


def _stripes(u: Plane, v: Plane, pitch: np.float32, rng: np.random.Generator) -> Plane:
    along = u if rng.random() < 0.35 else v
    return _step(np.sin(along * pitch * 14) - np.float32(rng.uniform(0.0, 0.6)))


def _dots(u: Plane, v: Plane, pitch: np.float32, _: np.random.Generator) -> Plane:
    a, b = u * pitch * np.float32(3.6), v * pitch * np.float32(3.6)
    a = a + np.float32(0.5) * (np.floor(b) % 2)
    x, y = a - np.floor(a) - np.float32(0.5), b - np.floor(b) - np.float32(0.5)
    return _step((np.float32(0.085) - (x * x + y * y)) * 9)


def _checks(u: Plane, v: Plane, pitch: np.float32, _: np.random.Generator) -> Plane:
    less = np.float32(0.3)
    across = _step(np.sin(u * pitch * 9) - less)
    along = _step(np.sin(v * pitch * 9) - less)
    return (across + along) * np.float32(0.5)


def _zigzag(u: Plane, v: Plane, pitch: np.float32, _: np.random.Generator) -> Plane:
    p = u * pitch * np.float32(2.6)
    fold = np.abs(p - np.floor(p) - np.float32(0.5))
    return _step(
        np.sin((v * pitch * np.float32(2.4) - fold) * np.float32(2 * np.pi)) - np.float32(0.35)
    )


def _fade(u: Plane, v: Plane, pitch: np.float32, _: np.random.Generator) -> Plane:
    return _plane(np.clip((v + 0.1 * u) * np.float32(0.68) * pitch + 0.4, 0, 1))


def _flowers(u: Plane, v: Plane, pitch: np.float32, _: np.random.Generator) -> Plane:
    """Blossoms of five petals around an open middle, turned and shifted from cell to cell."""
    p = pitch * np.float32(2.1)
    a, b = u * p, v * p
    a = a + np.float32(0.5) * (np.floor(b) % 2)
    i, j = np.floor(a), np.floor(b)
    x, y = a - i - np.float32(0.5), b - j - np.float32(0.5)
    radius = np.sqrt(x * x + y * y)
    turn = i * np.float32(2.4) + j * np.float32(1.7)
    petals = np.float32(0.31) + np.float32(0.12) * np.cos(5 * np.arctan2(y, x) + turn)
    return _step(np.minimum(petals - radius, radius - np.float32(0.1)) * 5)


def _camouflage(u: Plane, v: Plane, pitch: np.float32, rng: np.random.Generator) -> Plane:
    """Two levels of blotches from a few waves that run in every direction."""
    total = np.zeros_like(u)
    for _ in range(5):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = pitch * np.float32(rng.uniform(3.5, 7.5))
        place = u * np.float32(np.cos(angle)) + v * np.float32(np.sin(angle))
        total += np.sin(place * wave + np.float32(phase))
    light, dark = _step((total - np.float32(0.6)) * 1.2), _step((-total - np.float32(1.2)) * 1.2)
    return _plane(np.maximum(light, dark * np.float32(0.45)))


def _wood(u: Plane, v: Plane, noise: Plane, phase: np.float32) -> Plane:
    waves = np.float32(1.6) * np.sin(u * np.float32(2.2) + v * np.float32(1.5))
    rings = np.sin(v * (13 + 7 * phase) + waves)
    return _plane(1 + 0.13 * rings + 0.05 * noise)


def _metal(u: Plane, _v: Plane, noise: Plane, phase: np.float32) -> Plane:
    return _plane(1 + 0.24 * np.sin(u * np.float32(3.6) + 6 * phase) + 0.03 * noise)


def _wool(u: Plane, v: Plane, noise: Plane, phase: np.float32) -> Plane:
    stitches = np.abs(np.sin(u * np.float32(17)))
    rows = np.sin(v * np.float32(34) + np.float32(2.2) * stitches + phase)
    return _plane(0.96 + 0.15 * rows + 0.06 * noise)


def _cotton(u: Plane, v: Plane, noise: Plane, _: np.float32) -> Plane:
    return _plane(
        1 + 0.05 * np.sin(u * np.float32(60)) * np.sin(v * np.float32(60)) + 0.035 * noise
    )


def _leather(_u: Plane, _v: Plane, noise: Plane, _: np.float32) -> Plane:
    return _plane(0.94 + 0.09 * noise)


def _silk(u: Plane, v: Plane, _: Plane, phase: np.float32) -> Plane:
    folds = np.sin(u * np.float32(7) + np.float32(1.5) * np.sin(v * np.float32(2.5)) + 6 * phase)
    return _plane(1 + 0.15 * folds)


_PATTERNS: dict[str, Callable[[Plane, Plane, np.float32, np.random.Generator], Plane] | None] = {
    "plain": None,
    "striped": _stripes,
    "dotted": _dots,
    "checked": _checks,
    "floral": _flowers,
    "zigzag": _zigzag,
    "camouflage": _camouflage,
    "ombre": _fade,
}
_GRAINS: dict[str, Callable[[Plane, Plane, Plane, np.float32], Plane]] = {
    "wood": _wood,
    "metal": _metal,
    "wool": _wool,
    "cotton": _cotton,
    "leather": _leather,
    "silk": _silk,
}
"""Materials without an entry are smooth."""
