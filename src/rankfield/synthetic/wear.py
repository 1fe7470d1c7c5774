"""Silhouettes of things to wear and carry. Each function takes a stream for its proportions."""

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

__all__ = ["WEAR"]

_Stream = np.random.Generator


def _tshirt(rng: _Stream) -> list[Part]:
    w, sleeve, hem = rng.uniform(0.42, 0.52), rng.uniform(-0.16, 0.0), rng.uniform(0.7, 0.86)
    body = mirrored(
        [
            (0.2, -0.74),
            (w, -0.64),
            (0.92, sleeve - 0.12),
            (0.74, sleeve + 0.12),
            (w, -0.22),
            (w, hem),
        ],
        rounds=1,
    )
    return [
        Part(BODY, body),
        Part(BODY, stroke(ellipse(0, -0.76, 0.22, 0.2, 0, 180, n=16), 0.07), 0.8),
        Part(DARK, ellipse(0, -0.76, 0.17, 0.06, 0, 180, n=12), 2.0),
    ]


def _sweater(rng: _Stream) -> list[Part]:
    w, hem, cuff = rng.uniform(0.44, 0.54), rng.uniform(0.6, 0.74), rng.uniform(0.42, 0.6)
    body = mirrored([(0.2, -0.74), (w, -0.64), (w + 0.02, -0.1), (w, hem)], rounds=1)
    parts = []
    for s in (-1, 1):
        arm = smooth(
            [
                (s * w * 0.75, -0.7),
                (s * 0.72, -0.42),
                (s * 0.94, cuff),
                (s * 0.74, cuff + 0.04),
                (s * w, -0.1),
            ],
            rounds=2,
        )
        end = polygon(
            (s * 0.95, cuff - 0.07),
            (s * 0.96, cuff + 0.08),
            (s * 0.72, cuff + 0.12),
            (s * 0.74, cuff - 0.03),
        )
        parts += [Part(BODY, arm, 0.86), Part(BODY, end, 0.7)]
    return [
        *parts,
        Part(BODY, body),
        Part(BODY, rectangle(-w, hem - 0.02, w, hem + 0.12, 0.03), 0.74),
        Part(BODY, stroke(ellipse(0, -0.76, 0.22, 0.16, 0, 180, n=16), 0.12), 0.76),
    ]


def _dress(rng: _Stream) -> list[Part]:
    waist, flare, hem = rng.uniform(0.2, 0.28), rng.uniform(0.48, 0.8), rng.uniform(0.72, 0.94)
    at = rng.uniform(-0.25, -0.05)
    strap = rng.random() < 0.5
    bodice = mirrored(
        [
            (0.1 if strap else 0.16, -0.66 if strap else -0.86),
            (0.34, -0.84 if strap else -0.8),
            (0.3, -0.5),
            (waist, at),
        ],
        rounds=1,
    )
    skirt = mirrored(
        [(waist, at), (flare * 0.66, (at + hem) / 2), (flare, hem - 0.05), (flare * 0.6, hem)],
        rounds=1,
    )
    parts = [Part(BODY, bodice), Part(BODY, skirt, 1.04)]
    if strap:
        parts = [
            Part(BODY, stroke([(s * 0.25, -0.96), (s * 0.24, -0.6)], 0.06)) for s in (-1, 1)
        ] + parts
    else:
        sleeves = [
            smooth(
                [
                    (s * 0.16, -0.86),
                    (s * 0.4, -0.82),
                    (s * 0.56, -0.46),
                    (s * 0.4, -0.4),
                    (s * 0.26, -0.6),
                ],
                rounds=1,
            )
            for s in (-1, 1)
        ]
        parts = [Part(BODY, sleeve, 0.86) for sleeve in sleeves] + parts
    if rng.random() < 0.5:
        parts.append(Part(TRIM, rectangle(-waist - 0.01, at - 0.04, waist + 0.01, at + 0.05)))
    return parts


def _trousers(rng: _Stream) -> list[Part]:
    w, leg, hem = rng.uniform(0.34, 0.42), rng.uniform(0.14, 0.28) / 2, rng.uniform(0.72, 0.92)
    at = rng.uniform(0.3, 0.42)
    right = polygon(
        (0, -0.8), (w, -0.8), (w + 0.06, -0.4), (at + leg, hem), (at - leg, hem), (0, -0.22)
    )
    return [
        Part(BODY, right * (-1, 1)),
        Part(BODY, right, 0.93),
        Part(BODY, rectangle(-w - 0.01, -0.9, w + 0.01, -0.76, 0.02), 0.75),
        Part(DARK, stroke([(0, -0.76), (0, -0.3)], 0.025), 1.5),
        Part(TRIM, ellipse(0, -0.83, 0.035, 0.035, n=10)),
    ]


def _sneakers(rng: _Stream) -> list[Part]:
    ankle, toe, sole = rng.uniform(-0.5, -0.3), rng.uniform(0.0, 0.14), rng.uniform(0.12, 0.2)
    upper = smooth(
        [
            (-0.86, 0.34),
            (-0.86, ankle),
            (-0.62, ankle - 0.06),
            (-0.3, ankle + 0.02),
            (0.14, toe - 0.16),
            (0.66, toe),
            (0.94, 0.26),
            (0.92, 0.4),
        ],
        rounds=2,
    )
    laces = [
        Part(
            PALE,
            stroke(
                [
                    (-0.3 + 0.14 * k, ankle + 0.14 + 0.075 * k),
                    (-0.14 + 0.14 * k, ankle + 0.05 + 0.085 * k),
                ],
                0.055,
            ),
        )
        for k in range(4)
    ]
    stripe = smooth([(-0.3, 0.34), (-0.2, -0.02), (-0.05, -0.04), (0.1, 0.34)], rounds=2)
    return [
        Part(BODY, upper),
        Part(DARK, ellipse(-0.56, ankle + 0.02, 0.24, 0.07, n=20)),
        Part(TRIM, stripe, 0.95),
        *laces,
        Part(PALE, rectangle(-0.92, 0.34, 0.98, 0.34 + sole, 0.08)),
        Part(DARK, rectangle(-0.9, 0.32 + sole, 0.96, 0.37 + sole, 0.02), 1.6),
    ]


def _boots(rng: _Stream) -> list[Part]:
    top, toe, heel = rng.uniform(-0.95, -0.55), rng.uniform(0.2, 0.34), rng.uniform(0.1, 0.24)
    upper = smooth(
        [
            (-0.6, 0.62),
            (-0.58, top),
            (-0.3, top),
            (0.04, top),
            (0.02, 0.06),
            (0.5, toe),
            (0.86, 0.42),
            (0.84, 0.64),
        ],
        rounds=2,
    )
    return [
        Part(TRIM, rectangle(-0.6, 0.6, -0.18, 0.62 + heel), 0.6),
        Part(TRIM, rectangle(-0.62, 0.6, 0.88, 0.7, 0.04), 0.75),
        Part(BODY, upper),
        Part(BODY, rectangle(-0.6, top + 0.03, 0.06, top + 0.16, 0.04), 0.76),
        *(
            Part(TRIM, stroke([(-0.06, y), (0.1, y + 0.05)], 0.05), 1.2)
            for y in np.linspace(top + 0.3, 0.14, 4)
        ),
    ]


def _hat(rng: _Stream) -> list[Part]:
    if rng.random() < 0.55:
        w, crown = rng.uniform(0.56, 0.7), rng.uniform(0.72, 0.95)
        parts = [
            Part(BODY, ellipse(0, 0.3, w, crown, 180, 360, n=30)),
            Part(BODY, rectangle(-w - 0.05, 0.18, w + 0.05, 0.5, 0.1), 0.84),
        ]
        bobble = Part(TRIM, ellipse(0, 0.3 - crown, 0.17, 0.17))
        return [bobble, *parts] if rng.random() < 0.6 else parts
    crown, brim = rng.uniform(0.44, 0.54), rng.uniform(0.78, 0.95)
    return [
        Part(BODY, ellipse(0, 0.34, brim, 0.2), 0.86),
        Part(
            BODY,
            mirrored(
                [(crown * 0.75, -0.5), (crown * 0.9, -0.42), (crown, 0.32), (0.2, 0.42)], rounds=1
            ),
        ),
        Part(
            TRIM,
            polygon((-crown, 0.12), (crown, 0.12), (crown + 0.01, 0.32), (-crown - 0.01, 0.32)),
        ),
    ]


def _scarf(rng: _Stream) -> list[Part]:
    left, right = rng.uniform(0.55, 0.85), rng.uniform(0.45, 0.8)
    loop = stroke(ellipse(0, -0.42, 0.46, 0.34, 0, 360, n=40), 0.32)
    tails = [
        (polygon((-0.34, -0.2), (0.02, -0.12), (-0.12, left), (-0.48, left)), 0.9, left, -0.3),
        (polygon((-0.02, -0.12), (0.34, -0.22), (0.5, right), (0.14, right)), 1.02, right, 0.32),
    ]
    parts = []
    for outline, shade, end, x in tails:
        parts.append(Part(BODY, outline, shade))
        parts += [
            Part(BODY, stroke([(x + d, end - 0.02), (x + d, end + 0.12)], 0.04), 0.75)
            for d in np.linspace(-0.16, 0.16, 6)
        ]
    knot = smooth([(-0.24, -0.26), (0.24, -0.3), (0.26, 0.06), (-0.22, 0.1)], rounds=2)
    return [Part(BODY, loop, 0.95), *parts, Part(BODY, knot, 1.08)]


def _watch(rng: _Stream) -> list[Part]:
    case, band = rng.uniform(0.4, 0.5), rng.uniform(0.2, 0.28)
    square = rng.random() < 0.3
    hours, minutes = (np.array([np.cos(a), np.sin(a)]) for a in rng.uniform(0, 2 * np.pi, 2))
    rim = rectangle(-case, -case, case, case, 0.14) if square else ellipse(0, 0, case, case)
    reach = case * 0.76
    face = rectangle(-reach, -reach, reach, reach, 0.1) if square else ellipse(0, 0, reach, reach)
    strap = polygon((-band, 0.3), (-band * 0.8, 0.98), (band * 0.8, 0.98), (band, 0.3))
    return [
        Part(BODY, strap * (1, -1), 0.95),
        Part(BODY, strap, 0.95),
        Part(TRIM, rectangle(case - 0.02, -0.06, case + 0.09, 0.06, 0.02)),
        Part(TRIM, rim),
        Part(PALE, face, 0.97),
        Part(DARK, stroke(np.outer([0, 0.5 * reach], hours), 0.07)),
        Part(DARK, stroke(np.outer([0, 0.8 * reach], minutes), 0.045)),
    ]


def _umbrella(rng: _Stream) -> list[Part]:
    high, ribs = rng.uniform(0.62, 0.85), int(rng.integers(4, 7))
    base = 0.05
    dome = ellipse(0, base, 0.92, high, 180, 360, n=40)
    edges = np.linspace(0.92, -0.92, ribs + 1)
    scallops = [
        ellipse((a + b) / 2, base, (a - b) / 2, 0.09, 0, -180, n=8) for a, b in pairwise(edges)
    ]
    seams = [
        Part(BODY, stroke([(0, base - high), (0.6 * x, base - 0.55 * high), (x, base)], 0.02), 0.72)
        for x in edges[1:-1]
    ]
    hook = ellipse(0.13, 0.76, 0.13, 0.15, 180, 0, n=14)
    return [
        Part(TRIM, rectangle(-0.03, base - 0.2, 0.03, 0.78)),
        Part(TRIM, stroke(hook, 0.07)),
        Part(TRIM, rectangle(-0.025, base - high - 0.1, 0.025, base - high + 0.04)),
        Part(BODY, np.concatenate([dome, *scallops])),
        *seams,
    ]


def _backpack(rng: _Stream) -> list[Part]:
    w, top, pocket = rng.uniform(0.5, 0.62), rng.uniform(-0.74, -0.6), rng.uniform(0.1, 0.3)
    return [
        Part(TRIM, stroke(ellipse(0, top, 0.17, 0.19, 180, 360, n=16), 0.07)),
        Part(TRIM, rectangle(-w - 0.13, -0.3, -w + 0.1, 0.6, 0.1), 0.8),
        Part(TRIM, rectangle(w - 0.1, -0.3, w + 0.13, 0.6, 0.1), 0.8),
        Part(BODY, rectangle(-w, top, w, 0.88, 0.3)),
        Part(BODY, rectangle(-w * 0.74, pocket, w * 0.74, 0.8, 0.12), 1.1),
        Part(TRIM, stroke([(-w * 0.66, pocket + 0.08), (w * 0.66, pocket + 0.08)], 0.045)),
        Part(TRIM, stroke(ellipse(0, top + 0.5, w * 0.84, 0.34, 190, 350, n=20), 0.045)),
    ]


def _handbag(rng: _Stream) -> list[Part]:
    w, top, flare = rng.uniform(0.56, 0.7), rng.uniform(-0.25, -0.05), rng.uniform(0.02, 0.2)
    bag = smooth([(-w, top), (w, top), (w + flare, 0.8), (-w - flare, 0.8)], rounds=1)
    bag = np.concatenate([polygon((-w, top), (w, top)), bag[2:-1]])
    parts = [
        Part(TRIM, stroke(ellipse(0, top, w * 0.6, rng.uniform(0.5, 0.72), 180, 360, n=26), 0.075)),
        Part(BODY, bag),
    ]
    if rng.random() < 0.55:
        flap = smooth(
            [(-w, top - 0.03), (w, top - 0.03), (w * 0.95, 0.26), (0, 0.42), (-w * 0.95, 0.26)],
            rounds=1,
        )
        parts.append(Part(BODY, flap, 1.1))
        return [*parts, Part(TRIM, rectangle(-0.07, 0.26, 0.07, 0.42, 0.03), 1.2)]
    return [*parts, Part(BODY, rectangle(-w - 0.01, top - 0.03, w + 0.01, top + 0.1, 0.02), 0.74)]


WEAR = {
    "t-shirt": _tshirt,
    "dress": _dress,
    "sweater": _sweater,
    "trousers": _trousers,
    "sneakers": _sneakers,
    "boots": _boots,
    "hat": _hat,
    "scarf": _scarf,
    "watch": _watch,
    "umbrella": _umbrella,
    "backpack": _backpack,
    "handbag": _handbag,
}
"""Category → function that makes the parts of one such thing, back to front."""
