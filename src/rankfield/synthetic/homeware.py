"""Silhouettes of things for the house. Each function takes a stream for its proportions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rankfield.synthetic.outline import (
    BODY,
    DARK,
    PALE,
    TRIM,
    Part,
    ellipse,
    mirrored,
    polygon,
    rectangle,
    smooth,
    stroke,
)

__all__ = ["HOMEWARE"]

_Stream = np.random.Generator


def _mug(rng: _Stream) -> list[Part]:
    w, h, taper = rng.uniform(0.42, 0.58), rng.uniform(0.5, 0.72), rng.uniform(0.78, 1.02)
    reach = rng.uniform(0.28, 0.4)
    handle = ellipse(w * 0.92, 0.02, reach, h * 0.58, -88, 88, n=24)
    bottom = ellipse(-0.1, h, w * taper, 0.1, 0, 180, n=16)
    body = np.concatenate([polygon((-0.1 - w, -h), (-0.1 + w, -h)), bottom])
    return [
        Part(BODY, stroke(handle - (0.1, 0), 0.13), 0.88),
        Part(BODY, body),
        Part(BODY, ellipse(-0.1, -h, w, 0.13), 1.12),
        Part(DARK, ellipse(-0.1, -h + 0.01, w * 0.88, 0.095)),
    ]


def _teapot(rng: _Stream) -> list[Part]:
    w, h = rng.uniform(0.5, 0.6), rng.uniform(0.42, 0.55)
    lip = rng.uniform(-0.42, -0.28)
    spout = smooth(
        [
            (w * 0.6, 0.32),
            (w + 0.12, 0.1),
            (w + 0.3, lip),
            (w + 0.42, lip),
            (w + 0.24, 0.22),
            (w * 0.7, 0.5),
        ]
    )
    handle = ellipse(-w * 0.92, 0.08, 0.34, 0.36, 80, 280, n=24)
    return [
        Part(BODY, stroke(handle, 0.11), 0.85),
        Part(BODY, spout, 0.92),
        Part(BODY, ellipse(0, 0.12, w, h)),
        Part(BODY, rectangle(-w * 0.5, 0.12 + h * 0.86, w * 0.5, 0.2 + h, 0.04), 0.8),
        Part(BODY, ellipse(0, 0.16 - h, w * 0.52, 0.13), 1.1),
        Part(TRIM, ellipse(0, 0.02 - h, 0.1, 0.1)),
    ]


def _bottle(rng: _Stream) -> list[Part]:
    w, shoulder, neck = rng.uniform(0.25, 0.36), rng.uniform(-0.5, -0.2), rng.uniform(0.1, 0.17)
    body = mirrored(
        [
            (neck, -0.74),
            (neck, shoulder - 0.1),
            (w, shoulder + 0.12),
            (w, 0.5),
            (w, 0.9),
            (w * 0.8, 0.92),
        ]
    )
    return [
        Part(BODY, body),
        Part(TRIM, rectangle(-neck - 0.05, -0.95, neck + 0.05, -0.7, 0.04)),
        Part(TRIM, rectangle(-neck - 0.02, -0.7, neck + 0.02, -0.65), 0.75),
    ]


def _plate(rng: _Stream) -> list[Part]:
    squash, rim = rng.uniform(0.55, 1.0), rng.uniform(0.6, 0.74)
    return [
        Part(BODY, ellipse(0, 0.03, 0.86, 0.86 * squash), 0.75),
        Part(BODY, ellipse(0, 0, 0.86, 0.86 * squash), 1.05),
        Part(BODY, ellipse(0, 0, 0.86 * rim + 0.03, (0.86 * rim + 0.03) * squash), 0.82),
        Part(BODY, ellipse(0, 0.015, 0.86 * rim, 0.86 * rim * squash), 0.98),
    ]


def _bowl(rng: _Stream) -> list[Part]:
    w, depth, open_by = rng.uniform(0.68, 0.84), rng.uniform(0.62, 0.9), rng.uniform(0.14, 0.26)
    return [
        Part(BODY, rectangle(-0.26, depth * 0.6, 0.26, depth * 0.85 - 0.08, 0.03), 0.75),
        Part(BODY, ellipse(0, -0.2, w, depth, 0, 180, n=30)),
        Part(BODY, ellipse(0, -0.2, w, open_by), 1.12),
        Part(BODY, ellipse(0, -0.18, w * 0.92, open_by * 0.84), 0.6),
    ]


def _vase(rng: _Stream) -> list[Part]:
    neck, belly, foot = rng.uniform(0.12, 0.26), rng.uniform(0.36, 0.56), rng.uniform(0.18, 0.32)
    lip, at = neck + rng.uniform(0.03, 0.14), rng.uniform(-0.05, 0.35)
    body = mirrored(
        [
            (lip, -0.86),
            (neck, -0.66),
            (neck, -0.42),
            (belly, at - 0.2),
            (belly, at + 0.25),
            (foot, 0.78),
            (foot, 0.9),
        ]
    )
    return [
        Part(BODY, body),
        Part(BODY, ellipse(0, -0.86, lip, 0.07), 1.15),
        Part(DARK, ellipse(0, -0.855, lip * 0.8, 0.045)),
    ]


def _lamp(rng: _Stream) -> list[Part]:
    top, wide, drop = rng.uniform(0.22, 0.42), rng.uniform(0.5, 0.68), rng.uniform(-0.12, 0.06)
    if rng.random() < 0.5:
        stand = rectangle(-0.045, drop, 0.045, 0.85)
    else:
        stand = mirrored([(0.05, drop), (0.24, 0.25), (0.2, 0.6), (0.06, 0.85)])
    return [
        Part(TRIM, stand),
        Part(TRIM, ellipse(0, 0.86, 0.38, 0.09), 0.9),
        Part(BODY, polygon((-top, -0.88), (top, -0.88), (wide, drop), (-wide, drop)), 1.06),
        Part(PALE, stroke([(-wide, drop), (wide, drop)], 0.035), 1.0),
    ]


def _clock(rng: _Stream) -> list[Part]:
    square = rng.random() < 0.35
    hours, minutes = rng.uniform(0, 360, 2)
    face = 0.58 if square else rng.uniform(0.5, 0.62)
    case = rectangle(-0.8, -0.8, 0.8, 0.8, 0.2) if square else ellipse(0, 0, 0.84, 0.84)
    tips = [(np.cos(np.radians(a)), np.sin(np.radians(a))) for a in (hours, minutes)]
    marks = [np.radians(a) for a in range(0, 360, 30)]
    return [
        Part(BODY, case),
        Part(PALE, ellipse(0, 0, face, face)),
        *(
            Part(DARK, ellipse(0.85 * face * np.cos(a), 0.85 * face * np.sin(a), 0.035, 0.035, n=8))
            for a in marks
        ),
        Part(DARK, stroke([(0, 0), (tips[0][0] * face * 0.5, tips[0][1] * face * 0.5)], 0.08)),
        Part(DARK, stroke([(0, 0), (tips[1][0] * face * 0.78, tips[1][1] * face * 0.78)], 0.05)),
        Part(TRIM, ellipse(0, 0, 0.06, 0.06, n=12)),
    ]


def _pillow(rng: _Stream) -> list[Part]:
    pinch, flat = rng.uniform(0.1, 0.2), rng.uniform(0.72, 1.0)
    corner, middle = 0.86, 0.86 - pinch
    outline = [
        (-corner, -corner),
        (0, -middle),
        (corner, -corner),
        (middle, 0),
        (corner, corner),
        (0, middle),
        (-corner, corner),
        (-middle, 0),
    ]
    shape = smooth(outline, rounds=3) * (1.08, flat)
    return [Part(BODY, shape * 1.035, 0.7), Part(BODY, shape)]


def _chair(rng: _Stream) -> list[Part]:
    w, back, seat = rng.uniform(0.36, 0.48), rng.uniform(-0.92, -0.74), rng.uniform(0.08, 0.2)
    rest = rectangle(-w, back, w, seat - 0.22, rng.uniform(0.02, 0.3))
    slats = rng.random() < 0.4
    behind, front = w * 0.9, w + 0.1
    cushion = polygon(
        (-behind, seat - 0.1), (behind, seat - 0.1), (front, seat + 0.08), (-front, seat + 0.08)
    )
    parts = [
        Part(TRIM, stroke([(-w * 0.8, seat), (-w * 0.75, 0.72)], 0.07), 0.7),
        Part(TRIM, stroke([(w * 0.8, seat), (w * 0.75, 0.72)], 0.07), 0.7),
        Part(TRIM, stroke([(-w * 0.8, back + 0.1), (-w * 0.8, seat)], 0.08), 0.85),
        Part(TRIM, stroke([(w * 0.8, back + 0.1), (w * 0.8, seat)], 0.08), 0.85),
        Part(TRIM, stroke([(-w, seat), (-w - 0.06, 0.94)], 0.085)),
        Part(TRIM, stroke([(w, seat), (w + 0.06, 0.94)], 0.085)),
        Part(BODY, cushion, 1.1),
        Part(BODY, rectangle(-w - 0.1, seat + 0.08, w + 0.1, seat + 0.19, 0.04), 0.78),
    ]
    if slats:
        third = (seat - 0.22 - back) / 5
        levels = [back + 2 * third * k for k in range(3)]
        return parts + [Part(BODY, rectangle(-w, y, w, y + third, 0.05)) for y in levels]
    return [*parts, Part(BODY, rest)]


def _table(rng: _Stream) -> list[Part]:
    w, top, thick = rng.uniform(0.74, 0.92), rng.uniform(-0.4, -0.2), rng.uniform(0.07, 0.12)
    round_top = rng.random() < 0.35
    lean = rng.uniform(0, 0.14)
    legs = [
        Part(TRIM, stroke([(s * w * 0.55, top), (s * (w * 0.55 + lean), 0.6)], 0.075), 0.7)
        for s in (-1, 1)
    ] + [
        Part(TRIM, stroke([(s * w * 0.8, top + 0.05), (s * (w * 0.8 + lean), 0.86)], 0.09))
        for s in (-1, 1)
    ]
    if round_top:
        return [
            *legs,
            Part(BODY, ellipse(0, top + thick, w, 0.24), 0.72),
            Part(BODY, ellipse(0, top, w, 0.24), 1.08),
        ]
    surface = polygon(
        (-w * 0.74, top - 0.24), (w * 0.74, top - 0.24), (w, top + 0.06), (-w, top + 0.06)
    )
    return [
        *legs,
        Part(BODY, surface, 1.1),
        Part(BODY, rectangle(-w, top + 0.06, w, top + 0.06 + thick * 1.3, 0.02), 0.74),
    ]


def _sofa(rng: _Stream) -> list[Part]:
    back, seats, arm = rng.uniform(-0.55, -0.38), int(rng.integers(2, 4)), rng.uniform(0.16, 0.24)
    inner = 0.94 - arm
    edges = np.linspace(-inner, inner, seats + 1)
    pairs = list(pairwise(edges))
    return [
        *(Part(TRIM, rectangle(x - 0.05, 0.5, x + 0.05, 0.72), 0.9) for x in (-0.78, 0.78)),
        Part(BODY, rectangle(-0.9, back, 0.9, 0.3, 0.14), 0.86),
        *(Part(BODY, rectangle(a + 0.015, back + 0.1, b - 0.015, 0.16, 0.1)) for a, b in pairs),
        Part(BODY, rectangle(-0.9, 0.26, 0.9, 0.56, 0.05), 0.74),
        *(Part(BODY, rectangle(a + 0.01, 0.06, b - 0.01, 0.32, 0.09), 1.12) for a, b in pairs),
        *(
            Part(BODY, rectangle(min(x, x + s * arm), -0.1, max(x, x + s * arm), 0.58, 0.1), 0.95)
            for x, s in ((-0.98, 1), (0.98, -1))
        ),
    ]


HOMEWARE = {
    "mug": _mug,
    "teapot": _teapot,
    "bottle": _bottle,
    "plate": _plate,
    "bowl": _bowl,
    "vase": _vase,
    "lamp": _lamp,
    "clock": _clock,
    "pillow": _pillow,
    "chair": _chair,
    "table": _table,
    "sofa": _sofa,
}
"""Category → function that makes the parts of one such thing, back to front."""
