"""The products of the sample shop as arrays of attributes, made block by block from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rankfield.synthetic.vocabulary import (
    AUDIENCES,
    BRANDS,
    CATEGORIES,
    COLOURS,
    GROUPS,
    MATERIALS,
    SIZES,
    STYLES,
    USES,
    to_lab,
)

__all__ = ["BLOCK", "Catalogue", "catalogue_blocks", "doc_id", "make_catalogue"]

BLOCK = 8192
"""Products that share one random stream; any block can be made again without the others."""

_PALETTE = np.array([rgb for _, rgb in COLOURS], np.float32)
_PALETTE_LAB = to_lab(_PALETTE)
_MATERIAL_NAMES = [term.name for term in MATERIALS]
_COLOUR_SHARES = np.array([10, 5, 6, 8, 6, 10, 7, 6, 7, 7, 11, 8, 9], np.float64)
_PATTERN_SHARES = np.array([20, 13, 13, 15, 12, 7, 12], np.float64)
_AUDIENCE_SHARES = np.array([40, 24, 20, 16], np.float64)


@dataclass(frozen=True)
class Catalogue:
    """Attributes of n products; integers are positions in the tuples of `vocabulary`.

    `rgb` and `accent_rgb` (n, 3) are the colours as drawn, near the named ones. `popularity` is
    standardised: `appeal` is its part that brand, price and category explain, the rest belongs
    to the single product and cannot be known from its fields.
    """

    category: NDArray[np.int8]
    colour: NDArray[np.int8]
    accent: NDArray[np.int8]
    pattern: NDArray[np.int8]
    material: NDArray[np.int8]
    style: NDArray[np.int8]
    use: NDArray[np.int8]
    audience: NDArray[np.int8]
    size: NDArray[np.int8]
    brand: NDArray[np.int8]
    price: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    accent_rgb: NDArray[np.uint8]
    appeal: NDArray[np.float32]
    popularity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.category)

    def rows(self, rows: slice | NDArray[np.int64]) -> Catalogue:
        """Return the chosen rows."""
        return Catalogue(*(getattr(self, f.name)[rows] for f in fields(self)))


def doc_id(row: int) -> str:
    """Return the id of the product in that row of the catalogue."""
    return f"p{row:07d}"


def catalogue_blocks(documents: int, seed: int, *, first: int = 0) -> Iterator[Catalogue]:
    """Yield the catalogue's blocks in order, from block number `first` on."""
    for block in range(first, -(-documents // BLOCK)):
        count = min(BLOCK, documents - block * BLOCK)
        yield _block(np.random.default_rng([seed, 1, block]), _Shop.of(seed)).rows(slice(count))


def make_catalogue(documents: int, seed: int) -> Catalogue:
    """Return all products at once: about 40 bytes each."""
    blocks = list(catalogue_blocks(documents, seed))
    return Catalogue(
        *(np.concatenate([getattr(b, f.name) for b in blocks]) for f in fields(Catalogue))
    )


@dataclass(frozen=True)
class _Shop:
    """What holds for the whole shop: shares of categories, and the brands' character."""

    category_shares: NDArray[np.float64]
    category_appeal: NDArray[np.float64]
    brand_appeal: NDArray[np.float64]
    brand_shares: NDArray[np.float64]  # [group, brand]
    brand_price: NDArray[np.float64]
    brand_style: NDArray[np.int64]

    @classmethod
    def of(cls, seed: int) -> _Shop:
        rng = np.random.default_rng([seed, 0])
        shares = np.exp(0.2 * rng.standard_normal(len(CATEGORIES)))
        appeal = rng.standard_normal(len(BRANDS))
        focus = np.exp(1.6 * rng.standard_normal((len(GROUPS), len(BRANDS))) + 0.4 * appeal)
        return cls(
            shares / shares.sum(),
            rng.standard_normal(len(CATEGORIES)),
            appeal,
            focus / focus.sum(1, keepdims=True),
            np.exp(0.35 * rng.standard_normal(len(BRANDS))),
            rng.integers(0, len(STYLES), len(BRANDS)),
        )


def _block(rng: np.random.Generator, shop: _Shop) -> Catalogue:
    category = rng.choice(len(CATEGORIES), BLOCK, p=shop.category_shares)
    colour = rng.choice(len(COLOURS), BLOCK, p=_COLOUR_SHARES / _COLOUR_SHARES.sum())
    accent = _accents(rng, colour)
    patterned = np.array([c.patterned for c in CATEGORIES])[category] > rng.random(BLOCK)
    kinds = 1 + rng.choice(7, BLOCK, p=_PATTERN_SHARES / _PATTERN_SHARES.sum())
    brand = _brands(rng, shop, category)
    own_style = rng.integers(0, len(STYLES), BLOCK)
    style = np.where(rng.random(BLOCK) < 0.35, shop.brand_style[brand], own_style)
    size = rng.choice(len(SIZES), BLOCK, p=[0.25, 0.35, 0.25, 0.15])
    usual_price = np.log([c.price for c in CATEGORIES])[category]
    dearness = (
        np.log(shop.brand_price)[brand]
        + 0.25 * (style == len(STYLES) - 1)
        + 0.12 * (size - 1)
        + 0.3 * rng.standard_normal(BLOCK)
    )
    appeal = (
        0.75 * shop.brand_appeal[brand] + 0.2 * shop.category_appeal[category] - 0.45 * dearness
    )
    small = {
        "category": category,
        "colour": colour,
        "accent": accent,
        "pattern": np.where(patterned, kinds, 0),
        "material": _materials(rng, category),
        "style": style,
        "use": rng.integers(0, len(USES), BLOCK),
        "audience": rng.choice(len(AUDIENCES), BLOCK, p=_AUDIENCE_SHARES / 100),
        "size": size,
        "brand": brand,
    }
    return Catalogue(
        **{name: values.astype(np.int8) for name, values in small.items()},
        price=np.maximum(np.round(np.exp(usual_price + dearness)), 2).astype(np.float32)
        - np.float32(0.05),
        rgb=_shades(rng, colour),
        accent_rgb=_shades(rng, accent),
        appeal=appeal.astype(np.float32),
        popularity=(appeal + 0.5 * rng.standard_normal(BLOCK)).astype(np.float32),
    )


def _accents(rng: np.random.Generator, colour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose a second colour that stands out from the first, white and dark ones most often."""
    distance = np.linalg.norm(_PALETTE_LAB[:, None] - _PALETTE_LAB[None], axis=-1)
    preference = np.ones(len(COLOURS))
    preference[[6, 10]] = 2.5
    preference[12] = 7
    table = np.where(distance > 38, preference, 0)
    cumulative = (table / table.sum(1, keepdims=True)).cumsum(1)
    draws = rng.random((len(colour), 1))
    chosen: NDArray[np.int64] = np.argmax(cumulative[colour] > draws * 0.999999, axis=1)
    return chosen


def _brands(
    rng: np.random.Generator, shop: _Shop, category: NDArray[np.int64]
) -> NDArray[np.int64]:
    groups = list(GROUPS)
    group = np.array([groups.index(c.group) for c in CATEGORIES])[category]
    cumulative = shop.brand_shares.cumsum(1)
    draws = rng.random(len(category))
    brand: NDArray[np.int64] = np.empty(len(category), np.int64)
    for g in range(len(groups)):
        rows = group == g
        brand[rows] = np.searchsorted(cumulative[g], draws[rows])
    return np.minimum(brand, len(BRANDS) - 1)


def _materials(rng: np.random.Generator, category: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose a material that the category comes in; the first ones are the most usual."""
    draws = rng.random(len(category)) ** 1.3
    material = np.empty(len(category), np.int64)
    for number, kind in enumerate(CATEGORIES):
        rows = category == number
        usual = np.array([_MATERIAL_NAMES.index(name) for name in kind.materials])
        material[rows] = usual[(draws[rows] * len(usual)).astype(np.int64)]
    return material


def _shades(rng: np.random.Generator, colour: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Vary the named colours a little, in brightness more than in hue."""
    brightness = 1 + 0.1 * rng.standard_normal((len(colour), 1))
    hue = 1 + 0.06 * rng.standard_normal((len(colour), 3))
    varied = _PALETTE[colour] * brightness * hue + 3 * rng.standard_normal((len(colour), 3))
    return np.clip(varied, 8, 250).astype(np.uint8)
