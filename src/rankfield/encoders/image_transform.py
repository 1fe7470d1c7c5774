"""From an image to what a vision tower takes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.source import model_folder
from rankfield.errors import ModelError
from rankfield.files import read_json_object

__all__ = ["Fit", "ImageTransform", "pixel_statistics", "processor_config", "saved_transform"]

_FILE = "transform.json"
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_MOST_PIXELS = 16_000_000
_LONGEST = 4096
Fit = Literal["crop", "stretch", "cover", "contain"]
_METHODS = frozenset(Image.Resampling.__members__)


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop or pad, normalise: equal to transformers' PIL image processors or open_clip's.

    `fit` "crop" scales the shorter edge to `resize` and cuts the centre `height` × `width`
    (CLIP); "stretch" scales to `height` × `width` (SigLIP). Two are open_clip's: "cover" scales
    until height and width are covered and cuts the centre, half a pixel rounded to even;
    "contain" scales until the image fits in, and pads with the grey level `fill`, 0 to 255.
    """

    height: int
    width: int
    fit: Fit = "crop"
    resize: int = 0
    resample: str = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    fill: int = 0

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.resize or 1)
        if not all(type(size) is int and 1 <= size <= _LONGEST for size in sizes):
            raise ModelError(
                f"expected sizes of images from 1 to {_LONGEST:,}, found {str(sizes)[:80]}",
                where="image transform",
            )
        if self.fit not in get_args(Fit) or self.resample.upper() not in _METHODS:
            raise ModelError(
                f"unknown fit {self.fit!r} or resampling {self.resample!r}", where="image transform"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what `to_array` returns."""
        return self.height, self.width, 3

    def to_array(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized and cropped RGB image, uint8 height × width × 3."""
        method = Image.Resampling[self.resample.upper()]
        if self.fit == "stretch":
            return np.asarray(image.resize((self.width, self.height), method))
        w, h = image.size
        new = self._scaled(w, h)
        if self.fit == "contain":
            padded = Image.new("RGB", (self.width, self.height), (self.fill,) * 3)
            corner = ((self.width - new[0]) // 2, (self.height - new[1]) // 2)
            padded.paste(image.resize(new, method), corner)
            return np.asarray(padded)
        left, top = self._offset(new[0] - self.width), self._offset(new[1] - self.height)
        if new[0] * new[1] > _MOST_PIXELS:
            # A very long image would grow huge only to be cut: scale its centre alone.
            x, y = max(left, 0), max(top, 0)
            area = (min(self.width, new[0]), min(self.height, new[1]))
            box = (x * w / new[0], y * h / new[1])
            end = ((x + area[0]) * w / new[0], (y + area[1]) * h / new[1])
            image, left, top = image.resize(area, method, box=(*box, *end)), left - x, top - y
        else:
            image = image.resize(new, method)
        return np.asarray(image.crop((left, top, left + self.width, top + self.height)))

    def _scaled(self, w: int, h: int) -> tuple[int, int]:
        """Return width and height of the scaled image, before it is cropped or padded."""
        if self.fit == "crop" or (self.fit == "cover" and self.width == self.height):
            short = self.resize or min(self.height, self.width)
            # Truncated like transformers' get_resize_output_image_size and torchvision's Resize,
            # so that pixels agree.
            new = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        else:
            ratios = (h / self.height, w / self.width)
            ratio = max(ratios) if self.fit == "contain" else min(ratios)
            new = (round(w / ratio), round(h / ratio))
        return max(new[0], 1), max(new[1], 1)

    def _offset(self, surplus: int) -> int:
        """Return where the crop begins, by how much larger the scaled image is."""
        return round(surplus / 2) if self.fit == "cover" else surplus // 2

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return float32 N × 3 × H × W, (x / 255 − mean) / std, from uint8 N × H × W × 3."""
        mean = torch.tensor(self.mean, device=pixels.device) * 255.0
        std = torch.tensor(self.std, device=pixels.device) * 255.0
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)

    def inputs(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return what a vision model of transformers takes, from uint8 N × H × W × 3 pixels."""
        return {"pixel_values": self.normalise(pixels)}

    def save(self, folder: Path) -> None:
        """Write `transform.json` into an existing folder."""
        (folder / _FILE).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def from_processor_config(cls, config: dict[str, Any], *, where: str) -> ImageTransform:
        """Read an image processor's configuration: of CLIP, SigLIP, ViT, DINO, ConvNeXt, ResNet.

        Raises:
            ModelError: a configuration that gives no fixed image size, or is malformed.
        """
        try:
            return cls._from_processor_config(config)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"expected an image processor with a fixed image size ({error!r})", where=where
            ) from error

    @classmethod
    def _from_processor_config(cls, config: dict[str, Any]) -> ImageTransform:
        mean, std = pixel_statistics(config)
        common: dict[str, Any] = {
            "resample": Image.Resampling(config.get("resample", 3)).name.lower(),
            "mean": mean,
            "std": std,
        }
        size = config["size"]
        if isinstance(size, int):
            # Old configurations: one number, the shorter edge where a crop follows.
            crops = config.get("do_center_crop", False)
            size = {"shortest_edge": size} if crops else {"height": size, "width": size}
        if "shortest_edge" not in size:
            return cls(int(size["height"]), int(size["width"]), "stretch", 0, **common)
        short = int(size["shortest_edge"])
        if "crop_pct" in config:
            # ConvNeXt and ResNet: small images are cut out of larger ones, large ones stretched.
            if short >= 384:
                return cls(short, short, "stretch", 0, **common)
            return cls(short, short, "crop", int(short / config["crop_pct"]), **common)
        crop = config.get("crop_size") or short
        if isinstance(crop, int):
            crop = {"height": crop, "width": crop}
        return cls(int(crop["height"]), int(crop["width"]), "crop", short, **common)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> ImageTransform:
        """Read what `save` wrote, or the image processor's settings of a hub id or a folder.

        Raises:
            ModelError: there are none, or they cannot be understood.
        """
        where = f"image processor of {source}"
        folder = model_folder(source, where=where)
        require_plain_files(folder)
        with loading(where):
            saved = folder / _FILE
            if saved.is_file():
                return cls(**saved_transform(saved))
        return cls.from_processor_config(processor_config(folder, where), where=where)


def saved_transform(path: Path) -> dict[str, Any]:
    """Return the settings of a transform that its `save` wrote."""
    values = read_json_object(path)
    return values | {name: tuple(values[name]) for name in ("mean", "std")}


def processor_config(folder: Path, where: str) -> dict[str, Any]:
    """Return the settings of the image processor that transformers saved in a folder.

    Raises:
        ModelError: there are none, or they are malformed.
    """
    with loading(where):
        for name in _PROCESSOR_FILES:
            if (folder / name).is_file():
                config = read_json_object(folder / name)
                found: dict[str, Any] = config.get("image_processor", config)
                return found
    raise ModelError(f"there is none of {', '.join(_PROCESSOR_FILES)}", where=where)


def pixel_statistics(
    config: dict[str, Any],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and deviation of the channels in an image processor's settings.

    Raises:
        ValueError, TypeError: they are not three numbers each, or a deviation is not above 0.
    """
    normalises = config.get("do_normalize", True)
    mean = config.get("image_mean", [0.5] * 3) if normalises else [0.0] * 3
    std = config.get("image_std", [0.5] * 3) if normalises else [1.0] * 3
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(f"image_mean {mean}, image_std {std}")
    (a, b, c), (d, e, f) = (map(float, three) for three in (mean, std))
    return (a, b, c), (d, e, f)
