"""Images that are resized once, into a file of the cache: the same batches, to the bit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.errors import ImageError
from rankfield.schema import RankingDataset
from rankfield.training import build_model, parse_recipe
from rankfield.training.batches import PairBatches
from rankfield.training.mapped_images import MappedImages
from rankfield.training.packed import tensors
from training_data import tiny_shop, with_image_files


def made(shop: RankingDataset, **data: Any) -> PairBatches:
    sizes = {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32}
    recipe = parse_recipe({"encoder": sizes, "batch": {"size": 16}, "data": data})
    return PairBatches(recipe, shop, build_model(recipe, shop))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shop(tmp_path: Path) -> RankingDataset:
    """Return a shop whose photos are files."""
    return with_image_files(tiny_shop(tmp_path / "bytes"), tmp_path / "shop")


def no_decoding(patch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("an image was decoded")

    patch.setattr(RankingModel, "read_pixels", refused)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_same_pixels(
    shop: RankingDataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_bytes: bool,
) -> None:
    data = RankingDataset.load(tmp_path / "bytes") if as_bytes else shop
    changes = {"augment": True, "field_dropout": 0.3}
    read = made(data, image_cache_mib=0, image_disk_cache_mib=0, **changes)
    expected = [tensors(read[step]) for step in range(4)]
    first = made(data, **changes)
    no_decoding(monkeypatch)
    again = made(data, **changes)
    for batches in (first, again):
        for step, wanted in enumerate(expected):
            found = tensors(batches[step])
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert len(list(cache.glob("pixels-*"))) == 1


def test_a_changed_image_is_read_again(shop: RankingDataset, cache: Path) -> None:
    before = made(shop)
    codes, former = before.images.kept["document", "image"]
    column = next(c for c in before.columns["document"] if c.field.name == "image")
    assert shop.root is not None
    buffer = io.BytesIO()
    Image.new("RGB", (30, 30), "orange").save(buffer, "PNG")
    (shop.root / str(column.values[codes[2]])).write_bytes(buffer.getvalue())
    _, present = made(shop).images.kept["document", "image"]
    assert isinstance(former, MappedImages)
    assert isinstance(present, MappedImages)
    changed = (former.pixels != present.pixels).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == [2]
    assert len(list(cache.glob("pixels-*"))) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_file_is_made_again(shop: RankingDataset, cache: Path, damage: str) -> None:
    wanted = tensors(made(shop)[0])
    (file,) = cache.glob("pixels-*/pixels.npy")
    content = bytearray(file.read_bytes())
    content[-5] ^= 255
    file.write_bytes(content if damage == "flipped" else content[:-5])
    assert all(torch.equal(a, b) for a, b in zip(tensors(made(shop)[0]), wanted, strict=True))


def test_a_cache_that_cannot_be_written(
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RANKFIELD_CACHE", str(tmp_path / "file" / "cache"))
    batches = made(shop)
    assert "the resized images are not kept" in capsys.readouterr().err
    assert isinstance(batches.images.kept["document", "image"][1], torch.Tensor)


def test_a_set_beyond_the_bound(
    shop: RankingDataset, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"image_size": 224}
    recipe = parse_recipe(
        {"encoder": sizes, "batch": {"size": 16}, "data": {"image_disk_cache_mib": 1}}
    )
    PairBatches(recipe, shop, build_model(recipe, shop))
    assert "data.image_disk_cache_mib = 1" in capsys.readouterr().err
    assert not list(cache.glob("*"))


def test_an_image_that_cannot_be_read(shop: RankingDataset, cache: Path) -> None:
    assert shop.root is not None
    for file in (shop.root / "images").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(ImageError):
        made(shop)
    assert not list(cache.glob("*"))
