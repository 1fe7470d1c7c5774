"""Photos of the sample shop: right colours, silhouettes that differ, no two alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rankfield.synthetic import sample_shop
from rankfield.synthetic.catalogue import Catalogue, make_catalogue
from rankfield.synthetic.drawing import draw_image
from rankfield.synthetic.homeware import HOMEWARE
from rankfield.synthetic.surface import grain, pattern
from rankfield.synthetic.vocabulary import CATEGORIES, MATERIALS, PATTERNS
from rankfield.synthetic.wear import WEAR


def _draw(catalogue: Catalogue, row: int, stream: int = 0, size: int = 64) -> NDArray[np.uint8]:
    photo = draw_image(catalogue, row, np.random.default_rng(stream), size)
    assert photo.mode == "RGB"
    return np.asarray(photo)


def test_every_category_has_a_silhouette_inside_the_frame() -> None:
    shapes = HOMEWARE | WEAR
    assert set(shapes) == {category.name for category in CATEGORIES}
    for build in shapes.values():
        for stream in range(20):
            points = np.concatenate([part.points for part in build(np.random.default_rng(stream))])
            assert np.isfinite(points).all()
            assert np.abs(points).max() < 1.35
            assert np.ptp(points, 0).min() > 0.5


def test_photos_are_sane_and_differ() -> None:
    catalogue = make_catalogue(60, seed=0)
    photos = [_draw(catalogue, row, row) for row in range(60)]
    for photo in photos:
        assert photo.shape == (64, 64, 3)
        assert 40 < photo.mean() < 252
        assert photo.std() > 8
    assert len({photo.tobytes() for photo in photos}) == 60


def test_the_same_stream_gives_the_same_photo_and_another_another_pose() -> None:
    catalogue = make_catalogue(3, seed=0)
    np.testing.assert_array_equal(_draw(catalogue, 1, 5), _draw(catalogue, 1, 5))
    assert np.abs(_draw(catalogue, 1, 5).astype(int) - _draw(catalogue, 1, 6)).mean() > 5


@pytest.mark.parametrize("size", [16, 48, 96, 200, 320])
def test_any_size(size: int) -> None:
    assert _draw(make_catalogue(1, seed=0), 0, size=size).shape == (size, size, 3)


def test_the_products_colour_shows_in_the_middle() -> None:
    pillow = [category.name for category in CATEGORIES].index("pillow")
    base = make_catalogue(1, seed=0)
    plain = replace(
        base,
        category=np.array([pillow], np.int8),
        pattern=np.zeros(1, np.int8),
        material=np.array([[term.name for term in MATERIALS].index("cotton")], np.int8),
    )
    for colour in ((200, 30, 40), (40, 160, 60), (40, 60, 200)):
        dyed = replace(plain, rgb=np.array([colour], np.uint8))
        middle = np.mean(
            [_draw(dyed, 0, stream)[24:40, 24:40].mean((0, 1)) for stream in range(8)], 0
        )
        assert np.argmax(middle) == np.argmax(colour)
        assert np.abs(middle - colour).max() < 50


def test_patterns_and_materials_differ_from_each_other() -> None:
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    noise = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
    shares = [pattern(kind, u, v, np.random.default_rng(0)) for kind in range(len(PATTERNS))]
    assert shares[0] is None
    drawn = [share for share in shares if share is not None]
    for share in drawn:
        assert share.dtype == np.float32
        assert 0 <= share.min() < 0.1
        assert 0.9 < share.max() <= 1
        assert 0.1 < share.mean() < 0.8
    correlations = np.corrcoef([share.ravel() for share in drawn]) - np.eye(len(drawn))
    assert np.abs(correlations).max() < 0.6
    textures = [
        grain(kind, u, v, noise, np.random.default_rng(0)) for kind in range(len(MATERIALS))
    ]
    for texture in textures:
        assert texture.shape == u.shape
        assert 0.85 < texture.mean() < 1.1
    names = [term.name for term in MATERIALS]
    rough = {name for name, texture in zip(names, textures, strict=True) if texture.std() > 0.02}
    assert rough == {"metal", "wood", "leather", "cotton", "wool", "silk"}


def test_workers_import_nothing_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rankfield", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign code ran')\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    sample_shop(tmp_path / "shop", documents=400, queries=2, image_size=16, workers=2)
    assert len(list((tmp_path / "shop" / "images").rglob("*.jpg"))) == 400
