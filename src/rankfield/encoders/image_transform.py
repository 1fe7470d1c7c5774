"""From a picture to what a vision tower takes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rankfield.errors import ModelError

__all__ = ["ImageTransform"]

_RESAMPLE = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
_RESAMPLE_CODES = {1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class ImageTransform:
    """Resize, centre-crop, normalise: equal to transformers' PIL image processors.

    `fit` "crop" scales the shorter edge to `resize` and cuts the centre `height` × `width`
    (CLIP); "stretch" scales to `height` × `width` (SigLIP).
    """

    height: int
    width: int
    fit: Literal["crop", "stretch"] = "crop"
    resize: int = 0
    resample: str = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def to_array(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized and cropped RGB picture, uint8 height × width × 3."""
        method = _RESAMPLE[self.resample]
        if self.fit == "stretch":
            return np.asarray(image.resize((self.width, self.height), method))
        short = self.resize or min(self.height, self.width)
        w, h = image.size
        # Truncated like transformers' get_resize_output_image_size, so that pixels agree.
        new = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        resized = image.resize((max(new[0], 1), max(new[1], 1)), method)
        left, top = (resized.width - self.width) // 2, (resized.height - self.height) // 2
        return np.asarray(resized.crop((left, top, left + self.width, top + self.height)))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return float32 N × 3 × H × W, (x / 255 − mean) / std, from uint8 N × H × W × 3."""
        mean = torch.tensor(self.mean, device=pixels.device) * 255.0
        std = torch.tensor(self.std, device=pixels.device) * 255.0
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)

    def to_dict(self) -> dict[str, Any]:
        """Return the values to save."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ImageTransform:
        """Return the transform that `to_dict` described."""
        lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        return cls(**{**values, **lists})

    @classmethod
    def from_processor_config(cls, config: dict[str, Any], *, where: str) -> ImageTransform:
        """Read a `preprocessor_config.json` of the CLIP or SigLIP family.

        Raises:
            ModelError: a size that is neither shortest edge nor height and width.
        """
        size, crop = config.get("size", {}), config.get("crop_size")
        if isinstance(size, int):
            size = {"shortest_edge": size}
        if isinstance(crop, int):
            crop = {"height": crop, "width": crop}
        common: dict[str, Any] = {
            "resample": _RESAMPLE_CODES.get(config.get("resample", 3), "bicubic"),
            "mean": tuple(config.get("image_mean", (0.5, 0.5, 0.5))),
            "std": tuple(config.get("image_std", (0.5, 0.5, 0.5))),
        }
        if "shortest_edge" in size:
            short = int(size["shortest_edge"])
            crop = crop or {"height": short, "width": short}
            return cls(int(crop["height"]), int(crop["width"]), "crop", short, **common)
        if "height" in size:
            return cls(int(size["height"]), int(size["width"]), "stretch", 0, **common)
        raise ModelError(f"expected an image size, found {size!r}", where=where)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> ImageTransform:
        """Read the image processor's settings of a hub id or a folder.

        Raises:
            ModelError: there are none, or they cannot be understood.
        """
        from transformers.utils import cached_file

        where = f"vision model {source}"
        try:
            path = cached_file(str(source), "preprocessor_config.json")
        except OSError as error:
            raise ModelError(f"has no preprocessor_config.json ({error})", where=where) from error
        return cls.from_processor_config(json.loads(Path(path).read_text("utf-8")), where=where)
