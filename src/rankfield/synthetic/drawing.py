"""One product image: a silhouette, its surface, light, and the place where it stands."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from rankfield.synthetic.catalogue import Catalogue
from rankfield.synthetic.homeware import HOMEWARE
from rankfield.synthetic.outline import BODY, DARK, PALE, TRIM, Part
from rankfield.synthetic.scenery import scenery
from rankfield.synthetic.surface import Plane, gloss, grain, pattern
from rankfield.synthetic.vocabulary import CATEGORIES, MATERIALS
from rankfield.synthetic.wear import WEAR

__all__ = ["draw_image"]

_CANVAS = 192
"""Pixels drawn along each side, at least: small images are drawn larger and scaled down."""

_GLASS_COVERS = 0.68
"""How much of what is behind it a glass product hides."""

_TRIMS = {
    "kitchen": ((70, 70, 74), (205, 205, 208), (150, 104, 64)),
    "decor": ((176, 140, 92), (60, 60, 64), (206, 180, 120)),
    "furniture": ((120, 82, 50), (48, 48, 50), (190, 150, 104)),
    "clothing": ((50, 50, 56), (196, 166, 96), (226, 222, 214)),
    "footwear": ((60, 50, 44), (232, 230, 226), (120, 86, 56)),
    "accessories": ((200, 202, 206), (206, 170, 92), (62, 58, 58)),
    "bags": ((52, 44, 40), (126, 88, 56), (196, 166, 96)),
}
_SHAPES = HOMEWARE | WEAR


def draw_image(catalogue: Catalogue, row: int, rng: np.random.Generator, size: int) -> Image.Image:
    """Return the image of a product, RGB, `size` × `size` pixels."""
    side = _CANVAS if size <= _CANVAS else size
    category = CATEGORIES[catalogue.category[row]]
    pose = _Pose(rng, side, turns=category.group not in ("furniture",))
    layers, shades, solid = _paint(_SHAPES[category.name](rng), pose, side)
    u, v = pose.places(side)
    grit = _grit(rng, side)

    paint = np.zeros((5, 3), np.float32)
    paint[BODY] = catalogue.rgb[row]
    paint[TRIM] = _TRIMS[category.group][int(rng.integers(3))]
    paint[DARK] = 26 + 14 * rng.random()
    paint[PALE] = 236 + 12 * rng.random()
    colour = paint[layers]
    body = layers == BODY
    share = pattern(int(catalogue.pattern[row]), u, v, rng)
    if share is not None:
        mix = (share * body)[..., None]
        colour += mix * (catalogue.accent_rgb[row].astype(np.float32) - paint[BODY])

    brightness = np.where(body, grain(int(catalogue.material[row]), u, v, grit, rng), 1) * shades
    relief, shine = _light(solid, shades, int(catalogue.material[row]), rng)
    colour *= (brightness * relief)[..., None]
    colour += (shine * np.where(body, 1, np.float32(0.35)))[..., None]

    image = scenery(solid, grit, pose.ground, rng)
    covered = (np.asarray(solid, np.float32) / 255)[..., None]
    if MATERIALS[catalogue.material[row]].name == "glass":
        covered = covered * np.where(body, np.float32(_GLASS_COVERS), 1)[..., None]
    image += covered * (colour - image)
    return _develop(image, rng, size)


class _Pose:
    """How the product is turned, sized, leant and placed: an affine map with a hint of depth."""

    def __init__(self, rng: np.random.Generator, side: int, *, turns: bool) -> None:
        angle = np.radians(np.clip(rng.normal(0, 9 if turns else 3), -28, 28))
        scale = side / 2 * rng.uniform(0.66, 0.94)
        flip = -1 if rng.random() < 0.5 else 1
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1.0, rng.normal(0, 0.06)], [0.0, 1.0]])
        stretch = np.diag([flip * rng.uniform(0.88, 1.08), rng.uniform(0.92, 1.06)])
        self.depth = rng.normal(0, 0.07)
        self.matrix = scale * rotation @ shear @ stretch
        self.shift = side / 2 + rng.normal(0, 0.045, 2) * side
        self.ground = float(self.shift[1] + 0.86 * scale) / side

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map places on the product (n, 2) to pixels."""
        nearer = points * np.stack([1 + self.depth * points[:, 1], np.ones(len(points))], 1)
        mapped: NDArray[np.float64] = nearer @ self.matrix.T + self.shift
        return mapped

    def places(self, side: int) -> tuple[Plane, Plane]:
        """Map every pixel back to its place on the product."""
        inverse = np.linalg.inv(self.matrix).astype(np.float32)
        axis = np.arange(side, dtype=np.float32)
        x, y = axis[None, :] - np.float32(self.shift[0]), axis[:, None] - np.float32(self.shift[1])
        u = inverse[0, 0] * x + inverse[0, 1] * y
        v = inverse[1, 0] * x + inverse[1, 1] * y
        return u / (1 + np.float32(self.depth) * v), v


def _paint(
    parts: list[Part], pose: _Pose, side: int
) -> tuple[NDArray[np.uint8], Plane, Image.Image]:
    """Fill the parts back to front: what each pixel is painted as, how bright, where any is."""
    layers, shades = Image.new("L", (side, side)), Image.new("L", (side, side), 128)
    on_layers, on_shades = ImageDraw.Draw(layers), ImageDraw.Draw(shades)
    for part in parts:
        outline = pose.pixels(part.points).ravel().tolist()
        on_layers.polygon(outline, fill=part.layer)
        on_shades.polygon(outline, fill=min(round(128 * part.shade), 255))
    solid = layers.point([0] + [255] * 255)
    brightness = np.asarray(shades, np.float32) / np.float32(128)
    return np.asarray(layers, np.uint8), brightness, solid


def _light(
    solid: Image.Image, shades: Plane, material: int, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Light the product as if it bulged: return its brightness, and its highlights in levels."""
    side = solid.width
    soft = solid.filter(ImageFilter.BoxBlur(side / 14)).filter(ImageFilter.BoxBlur(side / 22))
    height = np.asarray(soft, np.float32) / 255 * shades
    slopes: list[Plane] = list(np.gradient(height * np.float32(side / 12)))
    slope_y, slope_x = slopes
    angle = rng.uniform(-2.6, -0.55)
    toward = np.float32(np.cos(angle)) * slope_x + np.float32(np.sin(angle)) * slope_y
    relief: Plane = np.asarray(np.clip(1 - np.float32(0.4) * toward, 0.55, 1.4), np.float32)
    strength, sharpness = gloss(material)
    if not strength:
        return relief, np.zeros_like(relief)
    facing = np.clip(1 - np.abs(toward + np.float32(0.42)) * 2, 0, 1)
    shine: Plane = np.float32(255 * strength) * facing ** np.float32(sharpness / 4)
    return relief, shine


@cache
def _grit_tile() -> Plane:
    return np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)


def _grit(rng: np.random.Generator, side: int) -> Plane:
    """Return fine noise, cut from one tile at a random place: drawing it each time takes longer."""
    tile = _grit_tile()
    if side > 256:
        return rng.standard_normal((side, side), np.float32)
    x, y = rng.integers(0, 512 - side, 2)
    return tile[y : y + side, x : x + side]


def _develop(scene: NDArray[np.float32], rng: np.random.Generator, size: int) -> Image.Image:
    """Scale down, then add the camera: exposure, colour cast and sensor noise."""
    cast = 1 + rng.normal(0, 0.02, 3).astype(np.float32)
    scene *= cast * np.float32(1 + rng.normal(0, 0.05))
    image = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    if size < image.width:
        image = image.resize((size, size), Image.Resampling.BOX)
    pixels = np.asarray(image, np.float32)
    noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.5, 3.5))
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
