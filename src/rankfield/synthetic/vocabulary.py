"""What the sample shop sells: categories, attributes, the words for them, and how near they are.

Attributes are stored as small integers, positions in the tuples here, so that a million products
fit in a few dozen megabytes and similarities are look-ups in tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AUDIENCES",
    "AUDIENCE_ADJECTIVES",
    "BRANDS",
    "CATEGORIES",
    "COLOURS",
    "GROUPS",
    "MATERIALS",
    "PATTERNS",
    "SIMILARITY",
    "SIZES",
    "STYLES",
    "USES",
    "Category",
    "Term",
    "to_lab",
]


@dataclass(frozen=True)
class Term:
    """An attribute's value: its name, which is also its first word, and further words for it."""

    name: str
    synonyms: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All words for the value, the usual one first."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True)
class Category:
    """A kind of product: its words, group, materials, typical price and sizes as written."""

    name: str
    synonyms: tuple[str, ...]
    group: str
    materials: tuple[str, ...]
    price: float
    sizes: tuple[str, str, str, str]
    patterned: float = 0.6

    @property
    def words(self) -> tuple[str, ...]:
        """All words for the category, the usual one first."""
        return (self.name, *self.synonyms)


_ML = ("200 ml", "300 ml", "400 ml", "600 ml")
_LITRES = ("0.35 l", "0.5 l", "0.75 l", "1.2 l")
_CLOTHES = ("S", "M", "L", "XL")
_SHOES = ("EU 36", "EU 39", "EU 42", "EU 45")
_HARD = ("ceramic", "glass", "metal", "wood")

CATEGORIES: tuple[Category, ...] = (
    Category("mug", ("cup", "coffee mug"), "kitchen", ("ceramic", "glass", "metal"), 14, _ML),
    Category("teapot", ("tea pot",), "kitchen", ("ceramic", "glass", "metal"), 34, _LITRES),
    Category(
        "bottle", ("flask", "water bottle"), "kitchen", ("metal", "plastic", "glass"), 22, _LITRES
    ),
    Category(
        "plate",
        ("dinner plate", "dish"),
        "kitchen",
        ("ceramic", "wood", "plastic"),
        12,
        ("16 cm", "21 cm", "26 cm", "31 cm"),
    ),
    Category("bowl", ("serving bowl",), "kitchen", _HARD, 16, ("12 cm", "16 cm", "22 cm", "28 cm")),
    Category("vase", ("flower vase",), "decor", _HARD, 29, ("15 cm", "22 cm", "30 cm", "45 cm")),
    Category(
        "lamp",
        ("table lamp", "desk light"),
        "decor",
        ("metal", "wood", "ceramic"),
        55,
        ("25 cm", "35 cm", "45 cm", "60 cm"),
        0.5,
    ),
    Category(
        "clock",
        ("wall clock",),
        "decor",
        ("wood", "metal", "plastic"),
        38,
        ("20 cm", "25 cm", "30 cm", "40 cm"),
        0.4,
    ),
    Category(
        "pillow",
        ("cushion", "throw pillow"),
        "decor",
        ("cotton", "wool", "silk", "leather"),
        24,
        ("30x30", "40x40", "50x50", "60x60"),
        0.75,
    ),
    Category(
        "chair",
        ("dining chair", "seat"),
        "furniture",
        ("wood", "metal", "plastic"),
        95,
        ("42 cm", "46 cm", "50 cm", "55 cm"),
        0.4,
    ),
    Category(
        "table",
        ("side table", "desk"),
        "furniture",
        ("wood", "metal", "plastic"),
        160,
        ("60 cm", "80 cm", "120 cm", "160 cm"),
        0.35,
    ),
    Category(
        "sofa",
        ("couch", "settee"),
        "furniture",
        ("cotton", "leather", "wool"),
        520,
        ("1-seat", "2-seat", "3-seat", "4-seat"),
        0.5,
    ),
    Category("t-shirt", ("tee", "shirt"), "clothing", ("cotton", "silk", "wool"), 20, _CLOTHES),
    Category("dress", ("gown",), "clothing", ("cotton", "silk", "wool"), 58, _CLOTHES, 0.65),
    Category("sweater", ("jumper", "pullover"), "clothing", ("wool", "cotton"), 49, _CLOTHES, 0.65),
    Category("trousers", ("pants",), "clothing", ("cotton", "wool", "leather"), 52, _CLOTHES, 0.5),
    Category(
        "sneakers", ("trainers",), "footwear", ("leather", "cotton", "plastic"), 74, _SHOES, 0.5
    ),
    Category(
        "boots", ("ankle boots",), "footwear", ("leather", "plastic", "wool"), 110, _SHOES, 0.4
    ),
    Category("hat", ("beanie", "cap"), "accessories", ("wool", "cotton", "leather"), 22, _CLOTHES),
    Category(
        "scarf",
        ("shawl",),
        "accessories",
        ("wool", "cotton", "silk"),
        27,
        ("120 cm", "150 cm", "180 cm", "200 cm"),
        0.75,
    ),
    Category(
        "watch",
        ("wristwatch", "timepiece"),
        "accessories",
        ("metal", "leather", "plastic"),
        140,
        ("32 mm", "36 mm", "40 mm", "44 mm"),
        0.35,
    ),
    Category(
        "umbrella",
        ("brolly", "parasol"),
        "accessories",
        ("cotton", "plastic", "silk"),
        25,
        ("85 cm", "95 cm", "105 cm", "120 cm"),
        0.7,
    ),
    Category(
        "backpack",
        ("rucksack", "daypack"),
        "bags",
        ("cotton", "leather", "plastic"),
        64,
        ("10 l", "18 l", "25 l", "40 l"),
    ),
    Category(
        "handbag",
        ("purse", "tote"),
        "bags",
        ("leather", "cotton", "plastic"),
        82,
        ("4 l", "8 l", "12 l", "18 l"),
        0.55,
    ),
)

GROUPS: dict[str, tuple[str, ...]] = {
    "kitchen": ("kitchenware", "tableware"),
    "decor": ("home decor", "decoration"),
    "furniture": ("furniture",),
    "clothing": ("clothes", "clothing"),
    "footwear": ("shoes", "footwear"),
    "accessories": ("accessory", "accessories"),
    "bags": ("bag",),
}
"""Group → words for the whole of it, as vague queries use them."""

COLOURS: tuple[tuple[Term, tuple[int, int, int]], ...] = (
    (Term("red", ("crimson", "scarlet")), (200, 36, 44)),
    (Term("orange", ("tangerine",)), (238, 122, 34)),
    (Term("yellow", ("mustard", "lemon")), (243, 202, 56)),
    (Term("green", ("emerald",)), (62, 145, 70)),
    (Term("teal", ("turquoise", "aqua")), (28, 160, 160)),
    (Term("blue", ("cobalt", "royal blue")), (46, 98, 205)),
    (Term("navy", ("dark blue",)), (28, 38, 92)),
    (Term("purple", ("violet", "lilac")), (126, 66, 170)),
    (Term("pink", ("rose",)), (240, 138, 178)),
    (Term("brown", ("chocolate", "tan")), (122, 76, 44)),
    (Term("black", ("jet black",)), (34, 34, 38)),
    (Term("grey", ("gray", "silver")), (142, 145, 150)),
    (Term("white", ("ivory", "cream")), (243, 240, 232)),
)

PATTERNS = (
    Term("plain", ("solid", "unicolour")),
    Term("striped", ("stripy", "pinstriped")),
    Term("dotted", ("polka dot", "spotted")),
    Term("checked", ("plaid", "tartan")),
    Term("floral", ("flowery", "flower print")),
    Term("zigzag", ("chevron",)),
    Term("camouflage", ("camo",)),
    Term("ombre", ("gradient", "two-tone")),
)

MATERIALS = (
    Term("ceramic", ("porcelain", "stoneware")),
    Term("glass", ("crystal",)),
    Term("metal", ("steel", "aluminium")),
    Term("wood", ("wooden", "oak")),
    Term("plastic", ("acrylic", "resin")),
    Term("leather", ("faux leather",)),
    Term("cotton", ("canvas", "linen")),
    Term("wool", ("woollen", "knitted")),
    Term("silk", ("satin", "silky")),
)

STYLES = (
    Term("modern", ("contemporary",)),
    Term("vintage", ("retro", "antique")),
    Term("minimalist", ("simple", "scandi")),
    Term("bohemian", ("boho",)),
    Term("classic", ("timeless",)),
    Term("rustic", ("farmhouse",)),
    Term("sporty", ("athletic",)),
    Term("luxury", ("premium", "designer")),
)

USES = (
    Term("outdoors", ("camping", "hiking")),
    Term("travel", ("holidays",)),
    Term("office", ("work",)),
    Term("parties", ("festivals",)),
    Term("winter", ("cold days",)),
    Term("summer", ("beach",)),
    Term("gifts", ("birthdays",)),
    Term("everyday use", ("daily use",)),
)

AUDIENCES = (
    Term("everyone", ("all ages",)),
    Term("women", ("ladies", "her")),
    Term("men", ("gents", "him")),
    Term("kids", ("children", "toddlers")),
)

AUDIENCE_ADJECTIVES = ("unisex", "women's", "men's", "kids'")
"""The audiences as they stand before a noun."""

SIZES = (
    Term("small", ("mini",)),
    Term("medium", ("mid-size",)),
    Term("large", ("big",)),
    Term("extra large", ("oversized", "huge")),
)

BRANDS = (
    "Alder", "Arvo", "Beckwith", "Brimlow", "Calder", "Castellan", "Corvane", "Dunmore",
    "Elmhurst", "Fenwick", "Fjordal", "Galloway", "Hartley", "Havenby", "Ilmari", "Ingram",
    "Jarrow", "Juno", "Kestrel", "Kinloch", "Larkin", "Lindqvist", "Marlowe", "Merrin",
    "Nordhavn", "Novella", "Oakham", "Orsini", "Pallas", "Pemberton", "Quillon", "Rowan",
    "Ryder", "Saltmarsh", "Selwyn", "Tamarin", "Thorne", "Tilbury", "Umbra", "Valmont",
    "Vesper", "Wexford", "Willow", "Yarrow", "Zephyr", "Zinnia", "Ostara", "Belcourt",
)  # fmt: skip

_NEAR_CATEGORIES = (
    "mug teapot .4, mug bowl .35, mug bottle .35, plate bowl .6, teapot bottle .3, vase bottle .35,"
    "vase lamp .3, vase bowl .25, lamp clock .35, pillow sofa .35, chair table .4, chair sofa .5,"
    "t-shirt sweater .55, t-shirt dress .4, sweater dress .3, trousers t-shirt .3,"
    "trousers dress .25, sneakers boots .6, hat scarf .5, scarf sweater .35, watch clock .45,"
    "backpack handbag .6, umbrella hat .3, umbrella scarf .25, dress scarf .2, handbag watch .25,"
    "table lamp .25, trousers sweater .25"
)
_NEAR_PATTERNS = (
    "striped zigzag .5, striped checked .4, dotted floral .4, floral camouflage .25,"
    "plain ombre .4, checked zigzag .3, camouflage ombre .2"
)
_NEAR_MATERIALS = (
    "ceramic glass .45, metal glass .3, metal plastic .3, glass plastic .3, wood ceramic .2,"
    "cotton wool .45, cotton silk .4, wool silk .3, leather cotton .2, leather plastic .25"
)
_NEAR_STYLES = (
    "modern minimalist .6, vintage classic .45, vintage rustic .5, bohemian rustic .35,"
    "classic luxury .45, modern sporty .3, bohemian vintage .3"
)
_NEAR_USES = (
    "outdoors travel .5, outdoors winter .3, travel summer .4, office everyday_use .5,"
    "parties gifts .4, outdoors summer .3, travel everyday_use .2"
)
_NEAR_AUDIENCES = "everyone women .6, everyone men .6, everyone kids .3, women men .15"
_NEAR_SIZES = "small medium .4, medium large .4, large extra_large .5"


def _similarity(names: list[str], near: str) -> NDArray[np.float32]:
    """Return the symmetric table (n, n): 1 on the diagonal, `near` as given, otherwise 0."""
    table = np.eye(len(names), dtype=np.float32)
    for entry in near.split(","):
        left, right, value = entry.split()
        i, j = names.index(left), names.index(right)
        table[i, j] = table[j, i] = float(value)
    return table


SIMILARITY: dict[str, NDArray[np.float32]] = {
    "category": _similarity([c.name for c in CATEGORIES], _NEAR_CATEGORIES),
    "pattern": _similarity([t.name for t in PATTERNS], _NEAR_PATTERNS),
    "material": _similarity([t.name for t in MATERIALS], _NEAR_MATERIALS),
    "style": _similarity([t.name for t in STYLES], _NEAR_STYLES),
    "use": _similarity([t.name.replace(" ", "_") for t in USES], _NEAR_USES),
    "audience": _similarity([t.name for t in AUDIENCES], _NEAR_AUDIENCES),
    "size": _similarity([t.name.replace(" ", "_") for t in SIZES], _NEAR_SIZES),
}
"""Attribute → table [asked, offered] of similarity in [0, 1]."""


def to_lab(rgb: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert sRGB in [0, 255], shape (…, 3), to CIE L*a*b* (D65), where distance is perceptual."""
    value = np.asarray(rgb, np.float32) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    red, green, blue = linear[..., 0], linear[..., 1], linear[..., 2]
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116) for t in (x, y, z))
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], -1).astype(np.float32)
