"""The files that clients of Hugging Face's formats share: weights, tokenizer, image processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from rankfield.encoders import DualEncoder, ImageTransform, TransformersTextTower
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.files import read_json_object, write_json

__all__ = [
    "fixed_transform",
    "save_dual",
    "save_text_tower",
    "save_tokenizer",
    "write_image_processor",
]

_TOKENIZER = "tokenizer_config.json"


def save_dual(encoder: DualEncoder, folder: Path) -> None:
    """Write a dual encoder as transformers does, with its lengths and image settings stated."""
    encoder.model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(
        encoder.tokenizer, folder, encoder.max_tokens, masked=not encoder.pads_to_full_length
    )
    write_image_processor(encoder.transform, folder)


def save_text_tower(tower: TransformersTextTower, folder: Path) -> None:
    """Write a text tower as transformers does; its pooling is for the caller to state."""
    tower.model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(tower.tokenizer, folder, tower.max_tokens)


def save_tokenizer(tokenizer: Any, folder: Path, max_tokens: int, *, masked: bool = True) -> None:
    """Write a tokenizer that cuts texts where the model does; the live one stays as it is."""
    tokenizer.save_pretrained(folder)
    path = folder / _TOKENIZER
    config = read_json_object(path) | {"model_max_length": max_tokens}
    if not masked:
        config["model_input_names"] = ["input_ids"]
    write_json(path, config)


def fixed_transform(transform: ImageTransform | PatchTransform | None) -> ImageTransform:
    """Return the transform of a model whose layout did not refuse it: its images have one size."""
    assert isinstance(transform, ImageTransform)
    return transform


def write_image_processor(transform: ImageTransform | PatchTransform, folder: Path) -> None:
    """Write `preprocessor_config.json`, which gives the pixels of an image transform."""
    config = {
        **(_patches(transform) if isinstance(transform, PatchTransform) else _sizes(transform)),
        "do_resize": True,
        "resample": int(Image.Resampling[transform.resample.upper()]),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(transform.mean),
        "image_std": list(transform.std),
        "do_convert_rgb": True,
    }
    write_json(folder / "preprocessor_config.json", config)


def _patches(transform: PatchTransform) -> dict[str, Any]:
    return {
        "image_processor_type": "Siglip2ImageProcessor",
        "patch_size": transform.patch_size,
        "max_num_patches": transform.max_patches,
    }


def _sizes(transform: ImageTransform) -> dict[str, Any]:
    crops = transform.fit == "crop"
    size = (
        {"shortest_edge": transform.resize or min(transform.height, transform.width)}
        if crops
        else {"height": transform.height, "width": transform.width}
    )
    config: dict[str, Any] = {
        "image_processor_type": "CLIPImageProcessor" if crops else "SiglipImageProcessor",
        "size": size,
    }
    if crops:
        config["do_center_crop"] = True
        config["crop_size"] = {"height": transform.height, "width": transform.width}
    return config
