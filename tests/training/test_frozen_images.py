"""Outputs of a frozen vision tower, computed once and kept in the cache: the same training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from rankfield.encoders import ComposedEncoder, RankingModel
from rankfield.encoders.own_modules import OwnVisionTower
from rankfield.encoders.vision_tower import VisionTower
from rankfield.errors import ImageError
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train, training_images
from rankfield.training.batches import PairBatches
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop, with_image_files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def shop(tmp_path: Path) -> RankingDataset:
    return with_image_files(tiny_shop(tmp_path / "bytes"), tmp_path / "shop")


def wanted(
    clip: Path, *, freeze: str = "vision", steps: int = 8, vision: Path | None = None, **data: Any
) -> Recipe:
    """Return a recipe with a small text tower from scratch, or a tiny loaded one to be frozen."""
    text = str(clip) if freeze == "text" else ""
    names = {"text_model": text, "vision_model": str(vision or clip), "model": ""}
    encoder = {"kind": "composed", "dimension": 8, "freeze": [freeze]}
    return recipe_of(
        clip,
        encoder=encoder | names,
        optimizer={"steps": steps},
        batch={"size": 8},
        data=data,
        dev={"every": 100},
    )


def batches_of(clip: Path, shop: RankingDataset, **options: Any) -> PairBatches:
    recipe = wanted(clip, **options)
    return PairBatches(recipe, shop, build_model(recipe, shop))


def entries(cache: Path) -> int:
    return len(list(cache.glob("frozen-*"))) if cache.exists() else 0


def a_photo(batches: PairBatches) -> Path:
    """Return the file of an image that the training meets."""
    ((_, column),) = batches.images.images
    root = batches.dataset.root
    assert root is not None
    return root / str(column.take(column.codes_of(batches.pairs.document_rows))[0])


def no_towers(patch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("an image was read or encoded")

    patch.setattr(VisionTower, "forward", refused)
    patch.setattr(RankingModel, "read_pixels", refused)


def test_a_batch_has_the_embeddings_of_its_pixels(
    clip: Path, shop: RankingDataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = batches_of(clip, shop, vision_disk_cache_mib=0)
    assert entries(cache) == 0
    inputs = [without[step].inputs["document"] for step in range(2)]
    expected = [without.model.encode(one, "document") for one in inputs]
    batches_of(clip, shop)
    assert entries(cache) == 1
    no_towers(monkeypatch)
    later = batches_of(clip, shop)
    for step, vectors in enumerate(expected):
        found = later[step].inputs["document"]
        assert found.inputs["image"].items.keys() == {"features"}
        torch.testing.assert_close(later.model.encode(found, "document"), vectors)


def test_a_training_on_them_ends_with_the_same_weights(
    clip: Path, shop: RankingDataset, cache: Path, tmp_path: Path
) -> None:
    def trained(name: str, **data: Any) -> dict[str, Tensor]:
        model = train(wanted(clip, **data), shop, tmp_path / name)
        assert isinstance(model.encoder, ComposedEncoder)
        return dict(model.state_dict())

    without = trained("without", vision_disk_cache_mib=0)
    first, second = trained("first"), trained("second", workers=1)
    assert entries(cache) == 1
    for name, value in without.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, atol=1e-4, rtol=1e-3)
    start = build_model(wanted(clip), shop).state_dict()["encoder.vision_projection.weight"]
    assert not torch.allclose(first["encoder.vision_projection.weight"], start, atol=1e-2)


@pytest.mark.parametrize(
    "options",
    [{"augment": True}, {"freeze": "text"}, {"steps": 1}, {"vision_disk_cache_mib": 0}],
    ids=["augmented", "trained", "few steps", "switched off"],
)
def test_pixels_are_encoded_where_outputs_change_or_do_not_pay(
    clip: Path,
    shop: RankingDataset,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    def hashed(*_: Any) -> str:
        raise AssertionError("no image needs to be looked up")

    monkeypatch.setattr(training_images, "images_key", hashed)
    batches = batches_of(clip, shop, **options)
    assert batches[0].inputs["document"].inputs["image"].items.keys() == {"pixels"}
    assert entries(cache) == 0


def test_another_image_or_tower_has_its_own(clip: Path, shop: RankingDataset, cache: Path) -> None:
    Image.new("RGB", (24, 24), "red").save(a_photo(batches_of(clip, shop)))
    changed = batches_of(clip, shop)
    assert entries(cache) == 2
    ((_, outputs),) = changed.images.outputs.values()
    tower = VisionTower.load(clip)
    with torch.no_grad():
        next(tower.parameters()).add_(1)
    saved = cache.parent / "other"
    tower.model.save_pretrained(saved)
    tower.transform.save(saved)
    ((_, others),) = batches_of(clip, shop, vision=saved).images.outputs.values()
    assert entries(cache) == 3
    assert not torch.allclose(outputs, others)


@pytest.mark.parametrize("version", ["1", None])
def test_a_module_of_ones_own_is_kept_if_it_has_a_version(
    shop: RankingDataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
) -> None:
    kept = int(version is not None)
    code = f"""
import torch
from rankfield.encoders import ImageTransform

def vision():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(5)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 4), norm, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    module.outputs_version = {version!r}
    return module, 5, ImageTransform(8, 8, "stretch")
"""
    (tmp_path / f"kept_{kept}.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    encoder = {"kind": "composed", "dimension": 8, "freeze": ["vision"]}
    recipe = parse_recipe(
        {
            "encoder": encoder | {"vision_model": f"kept_{kept}:vision"},
            "optimizer": {"steps": 8},
            "batch": {"size": 8},
        },
        allow_code=True,
    )
    model = train(recipe, shop, tmp_path / "run")
    assert entries(cache) == kept
    statistics = model.state_dict()["encoder.vision.model.1.running_mean"]
    assert torch.equal(statistics, torch.zeros(5))
    if kept:
        no_towers(monkeypatch)
        monkeypatch.setattr(OwnVisionTower, "forward", VisionTower.forward)
        PairBatches(recipe, shop, build_model(recipe, shop))


def test_a_damaged_entry_is_made_again(clip: Path, shop: RankingDataset, cache: Path) -> None:
    ((_, outputs),) = batches_of(clip, shop).images.outputs.values()
    expected = outputs.clone()
    (file,) = cache.glob("frozen-*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-4] + b"\1\2\3\4")
    ((_, again),) = batches_of(clip, shop).images.outputs.values()
    assert torch.equal(again, expected)
    os.truncate(file, 200)
    ((_, again),) = batches_of(clip, shop).images.outputs.values()
    assert torch.equal(again, expected)


def test_what_cannot_be_kept_or_read(
    clip: Path, shop: RankingDataset, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file in its place")
    batches = batches_of(clip, shop)
    assert batches[0].inputs["document"].inputs["image"].items.keys() == {"pixels"}
    assert "vectors of the frozen vision tower are not kept: " in capsys.readouterr().err
    cache.unlink()
    a_photo(batches).write_bytes(b"no image")
    with pytest.raises(ImageError):
        batches_of(clip, shop)
    assert entries(cache) == 0
