"""SigLIP 2 NaFlex: images in their own proportions, equal to transformers' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.siglip2 import image_processing_pil_siglip2 as reference

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    RankingModel,
    TransformersTextTower,
    VisionTower,
)
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.encoders.pixels import read_pixels
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import ModelError, RecipeError
from rankfield.schema import Field, RankingDataset
from rankfield.training import build_model, train
from tiny_models import recipe_of
from tiny_naflex import PATCH, PATCHES, naflex_folder
from training_data import tiny_shop

SIZES = [(40, 40), (7, 300), (300, 7), (1, 1), (64, 33), (4, 80)]
SIDES = st.integers(1, 5000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return naflex_folder(tmp_path_factory.mktemp("naflex") / "model")


def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [
        Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in SIZES
    ]


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(2, 32), st.integers(1, 1024))
@example(20_000, 1, 16, 256)
def test_the_grid_is_that_of_transformers(height: int, width: int, patch: int, most: int) -> None:
    size = reference.get_image_size_for_max_num_patches(height, width, patch, most)
    found = PatchTransform(patch, most).grid(height, width)
    assert found == (size[0] // patch, size[1] // patch)


@pytest.mark.parametrize("most", [PATCHES, 300])
def test_patches_are_those_of_the_processor(most: int) -> None:
    processor: Any = transformers.Siglip2ImageProcessorPil(
        patch_size=PATCH, max_num_patches=most, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 1]
    )
    transform = PatchTransform(PATCH, most, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 1.0))
    expected = processor(images(), return_tensors="pt")
    arrays = [transform.to_array(image) for image in images()]
    assert {array.shape for array in arrays} == {transform.shape}
    found = transform.inputs(torch.from_numpy(np.stack(arrays)))
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found["spatial_shapes"], expected["spatial_shapes"])
    torch.testing.assert_close(
        found["pixel_attention_mask"], expected["pixel_attention_mask"].long()
    )
    torch.testing.assert_close(found["pixel_values"], expected["pixel_values"], atol=1e-6, rtol=0)


def test_features_are_those_of_transformers(folder: Path) -> None:
    with quiet_transformers():
        model = transformers.Siglip2Model.from_pretrained(folder).eval()
    processor: Any = transformers.Siglip2ImageProcessorPil.from_pretrained(folder)
    encoder = DualEncoder.from_pretrained(folder).eval()
    assert encoder.image_transform is not None
    pixels = read_pixels(encoder.image_transform, images(), lambda image: image)
    with torch.inference_mode():
        expected = model.get_image_features(**processor(images(), return_tensors="pt"))
        found = encoder.encode_image(pixels)
    torch.testing.assert_close(found, expected.pooler_output, atol=1e-5, rtol=0)


def test_a_vision_tower_alone_and_beside_another(folder: Path, tmp_path: Path) -> None:
    tower = VisionTower.load(folder).eval()
    text = TransformersTextTower.load(folder)
    encoder = ComposedEncoder(text, tower, dimension=8)
    encoder.eval().save(tmp_path)
    again = ComposedEncoder.load(tmp_path).eval()
    assert isinstance(again.image_transform, PatchTransform)
    pixels = read_pixels(again.image_transform, images(), lambda image: image)
    with torch.inference_mode():
        torch.testing.assert_close(again.encode_image(pixels), encoder.encode_image(pixels))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", copies=2)


def test_it_trains_is_saved_and_embeds(folder: Path, shop: RankingDataset, tmp_path: Path) -> None:
    recipe = recipe_of(
        folder,
        optimizer={"steps": 2, "learning_rate": 1e-3},
        batch={"size": 8},
        data={"field_dropout": 0.2},
    )
    before = build_model(recipe, shop)
    model = train(recipe, shop, tmp_path / "run").eval()
    patch = "model.vision_model.embeddings.patch_embedding.weight"
    trained = model.encoder.state_dict()[patch]
    assert not torch.equal(trained, before.encoder.state_dict()[patch])
    again = RankingModel.load(tmp_path / "run" / "model")
    np.testing.assert_array_equal(again.embed_documents(shop), model.embed_documents(shop))
    tall, wide = (Image.new("RGB", size, "red") for size in ((8, 60), (60, 8)))
    fields = [Field("image", "image")]
    alone = RankingModel(again.encoder, again.query_fields, fields).eval()
    one, other = alone.encode_documents([tall, wide])
    assert np.abs(one - other).max() > 1e-3


def test_augmentation_is_refused(folder: Path, shop: RankingDataset) -> None:
    with pytest.raises(RecipeError, match=r"data\.augment: images are mirrored and shifted where"):
        build_model(recipe_of(folder, data={"augment": True}), shop)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"patch_size": 1}, "expected a size from 2 to 256, found 1"),
        ({"max_num_patches": 10**9}, "expected a size from 1 to 4,096"),
        ({"patch_size": None}, "expected a size from 2 to 256, found None"),
        ({"image_std": [0.5, 0.5, 0]}, "expected an image processor of SigLIP 2"),
        ({"resample": "no"}, "expected an image processor of SigLIP 2"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, values: dict[str, Any], problem: str) -> None:
    config = {"patch_size": 16, "max_num_patches": 256} | values
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match=problem):
        PatchTransform.from_pretrained(tmp_path)


def test_an_image_that_is_too_long() -> None:
    with pytest.raises(ModelError, match="4000000 × 1 pixels is too long for 1 patches"):
        PatchTransform(2, 1).to_array(Image.new("RGB", (4_000_000, 1)))
