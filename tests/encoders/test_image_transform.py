from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rankfield.encoders import ImageTransform
from rankfield.errors import ModelError

CLIP: dict[str, Any] = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": {"shortest_edge": 224},
}
SIGLIP: dict[str, Any] = {
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "SiglipImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "size": {"height": 256, "width": 192},
}
RESNET: dict[str, Any] = {
    "crop_pct": 0.875,
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "ConvNextImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "size": {"shortest_edge": 224},
}
SIZES = [
    (224, 224),
    (225, 224),
    (224, 225),
    (640, 427),
    (427, 640),
    (37, 511),
    (3, 5),
    (1, 1),
    (300, 1),
    (1, 300),
    (223, 1001),
]


def random_image(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixel_values(transform: ImageTransform, image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(transform.to_array(image).copy())
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (transform.height, transform.width, 3)
    return transform.normalise(pixels.unsqueeze(0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("processor", "config"),
    [
        ("CLIPImageProcessorPil", CLIP),
        ("CLIPImageProcessorPil", CLIP | {"size": {"shortest_edge": 97}, "resample": 2}),
        # The crop is larger than the resized image, which gets a black frame.
        ("CLIPImageProcessorPil", CLIP | {"size": {"shortest_edge": 51}, "crop_size": 64}),
        ("SiglipImageProcessorPil", SIGLIP),
        ("SiglipImageProcessorPil", SIGLIP | {"size": {"height": 32, "width": 32}}),
        ("SiglipImageProcessorPil", SIGLIP | {"do_normalize": False, "resample": 1}),
        ("ConvNextImageProcessorPil", RESNET),
        ("ConvNextImageProcessorPil", RESNET | {"size": {"shortest_edge": 384}}),
    ],
)
def test_pixels_equal_those_of_transformers(
    processor: str, config: dict[str, Any], size: tuple[int, int]
) -> None:
    import transformers

    reference = getattr(transformers, processor)(**config)
    image = random_image(*size)
    expected = reference(image, return_tensors="pt")
    found = pixel_values(ImageTransform.from_processor_config(config, where="test"), image)
    assert found.shape == expected["pixel_values"].shape
    assert (found - expected["pixel_values"]).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 2)])
def test_a_very_long_image_takes_little_memory(size: tuple[int, int]) -> None:
    import tracemalloc

    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, size[1] // 2, *size))
    tracemalloc.start()
    found = ImageTransform(64, 64).to_array(image)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert found.shape == (64, 64, 3)


def test_scaling_the_centre_alone_gives_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    from rankfield.encoders import image_transform

    for height, width, resize in ((64, 64, 64), (64, 48, 80), (40, 64, 30)):
        transform = ImageTransform(height, width, "crop", resize)
        for size in SIZES:
            image = random_image(*size)
            whole = transform.to_array(image).astype(int)
            with monkeypatch.context() as patch:
                patch.setattr(image_transform, "_MOST_PIXELS", 0)
                centre = transform.to_array(image).astype(int)
            # Rounding of the box's corners moves few values by more than a level.
            difference = np.abs(whole - centre)
            assert difference.mean() < 0.5, size


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CLIP, ImageTransform(224, 224, "crop", 224)),
        (CLIP | {"size": 224, "crop_size": 224}, ImageTransform(224, 224, "crop", 224)),
        (CLIP | {"size": {"shortest_edge": 256}}, ImageTransform(224, 224, "crop", 256)),
        (SIGLIP, ImageTransform(256, 192, "stretch")),
        (SIGLIP | {"size": 384}, ImageTransform(384, 384, "stretch")),
        (SIGLIP | {"resample": 2}, ImageTransform(256, 192, "stretch", resample="bilinear")),
        (RESNET, ImageTransform(224, 224, "crop", 256)),
        ({"size": {"height": 8, "width": 9}}, ImageTransform(8, 9, "stretch")),
    ],
)
def test_settings_of_image_processors(config: dict[str, Any], expected: ImageTransform) -> None:
    found = ImageTransform.from_processor_config(config, where="test")
    assert (found.height, found.width, found.fit) == (expected.height, expected.width, expected.fit)
    assert (found.resize, found.resample) == (expected.resize, expected.resample)
    assert list(found.mean) == config.get("image_mean", [0.5] * 3)
    assert list(found.std) == config.get("image_std", [0.5] * 3)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"size": {}},
        {"size": None},
        {"size": "large"},
        {"size": {"longest_edge": 900}},
        {"size": {"height": 224}},
        CLIP | {"resample": 17},
        CLIP | {"image_mean": [0.5]},
        CLIP | {"image_std": [0.5, 0.0, 0.5]},
        CLIP | {"image_mean": None},
        CLIP | {"crop_size": {"height": 224}},
        [],
    ],
)
def test_broken_settings_are_refused(config: Any) -> None:
    with pytest.raises(ModelError, match="mymodel: expected an image processor"):
        ImageTransform.from_processor_config(config, where="mymodel")


def test_where_settings_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"none of preprocessor_config\.json"):
        ImageTransform.from_pretrained(tmp_path)
    # transformers 5 writes the settings of a whole processor into one file.
    whole = {"image_processor": SIGLIP, "processor_class": "SiglipProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(whole))
    assert ImageTransform.from_pretrained(tmp_path).height == 256
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CLIP))
    read = ImageTransform.from_pretrained(tmp_path)
    assert read.height == 224
    changed = ImageTransform(12, 14, "stretch", mean=(0.1, 0.2, 1 / 3), std=(1.0, 0.7, 0.1))
    changed.save(tmp_path)
    assert ImageTransform.from_pretrained(tmp_path) == changed
    for broken in ('{"height": 3}', "nonsense", "[]"):
        (tmp_path / "transform.json").write_text(broken)
        with pytest.raises(ModelError, match="cannot be loaded"):
            ImageTransform.from_pretrained(tmp_path)


def test_normalising_is_the_formula() -> None:
    transform = ImageTransform(2, 3, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    pixels = torch.randint(0, 256, (4, 2, 3, 3), dtype=torch.uint8)
    found = transform.normalise(pixels)
    assert found.shape == (4, 3, 2, 3)
    for channel in range(3):
        expected = (pixels[..., channel] / 255 - transform.mean[channel]) / transform.std[channel]
        torch.testing.assert_close(found[:, channel], expected, rtol=1e-5, atol=1e-6)
