"""Images are resized, cropped, padded and normalised as open_clip does it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

if importlib.util.find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed: make open-clip", allow_module_level=True)

from rankfield.encoders.open_clip import open_clip_transform
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.pixels import read_pixels
from rankfield.errors import ModelError
from rankfield.images import loaded_image


def configuration(**values: Any) -> Any:
    return import_open_clip().transform.PreprocessCfg(**values)


def compare(image: Image.Image, **values: Any) -> None:
    config = configuration(**values)
    expected = import_open_clip().transform.image_transform_v2(config, is_train=False)(image)
    transform = open_clip_transform(vars(config))
    pixels = torch.from_numpy(transform.to_array(image)[None].copy())
    torch.testing.assert_close(transform.normalise(pixels)[0], expected, atol=1e-6, rtol=1e-6)


@given(
    shape=st.tuples(st.integers(3, 90), st.integers(3, 90)),
    seed=st.integers(0, 9),
    values=st.fixed_dictionaries(
        {
            "size": st.sampled_from([16, (16, 16), (12, 20), (20, 13)]),
            "resize_mode": st.sampled_from(["shortest", "squash", "longest"]),
            "interpolation": st.sampled_from(["bicubic", "bilinear", "random"]),
            "fill_color": st.integers(0, 255),
        }
    ),
)
def test_any_image(shape: tuple[int, int], seed: int, values: dict[str, Any]) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    compare(Image.fromarray(noise), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25), **values)


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
def test_a_photo_from_its_file(mode: str) -> None:
    photo = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    with loaded_image(photo) as image:
        compare(image, size=224, resize_mode=mode)
    config = configuration(size=224, resize_mode=mode)
    with Image.open(photo) as opened:
        expected = import_open_clip().transform.image_transform_v2(config, is_train=False)(opened)
    transform = open_clip_transform(vars(config))
    pixels = read_pixels(transform, [str(photo)], Path)
    torch.testing.assert_close(transform.normalise(pixels)[0], expected, atol=1e-6, rtol=1e-6)


def test_what_is_left_open_is_open_clips_default() -> None:
    transform = open_clip_transform(vars(configuration()))
    assert (transform.height, transform.width, transform.fit) == (224, 224, "cover")
    assert transform.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    even = open_clip_transform(vars(configuration(mean=0.5, std=0.25)))
    assert (even.mean, even.std) == ((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    "values", [{"resize_mode": "middle"}, {"interpolation": "nearest"}, {"fill_color": "red"}]
)
def test_unknown_values(values: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="unknown resize_mode"):
        open_clip_transform(vars(configuration(**values)))
