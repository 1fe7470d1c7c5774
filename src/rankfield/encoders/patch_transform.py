"""From an image of any shape to the patches that SigLIP 2 NaFlex takes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rankfield.encoders.image_transform import pixel_statistics, processor_config, saved_transform
from rankfield.encoders.pretrained import loading
from rankfield.errors import ModelError

__all__ = ["PatchTransform"]

_FILE = "patch_transform.json"
_MOST_PATCHES = 4096
_LARGEST_PATCH = 256
_SCALES, _CLOSE = (1e-6, 100.0), 1e-5  # of transformers' search
_GRID = np.dtype("<u2")


@dataclass(frozen=True)
class PatchTransform:
    """Resize to a grid of at most N patches of p × p pixels, in the image's own proportions.

    Equal to transformers' `Siglip2ImageProcessorPil`. (SigLIP 2, Tschannen et al., arXiv
    2502.14786, section 2.4.2.) An image is an array of (N + 1) × 3p² bytes, so that images of
    different shapes make one tensor: the patches by rows of the grid, zeros, and a last row
    whose first four bytes are the grid's rows and columns, two bytes each, the low one first.

    Args:
        patch_size: p, at least 2.
        max_patches: N.
        resample: how Pillow resizes.
        mean, std: of the channels, as a share of the brightest.

    Raises:
        ModelError: a size that is out of range, or an unknown resampling.
    """

    patch_size: int
    max_patches: int
    resample: str = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        limits = ((self.patch_size, 2, _LARGEST_PATCH), (self.max_patches, 1, _MOST_PATCHES))
        for size, least, most in limits:
            if type(size) is not int or not least <= size <= most:
                raise ModelError(
                    f"expected a size from {least} to {most:,}, found {str(size)[:80]}",
                    where="patch transform",
                )
        if self.resample.upper() not in Image.Resampling.__members__:
            raise ModelError(f"unknown resampling {self.resample!r}", where="patch transform")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what `to_array` returns."""
        return self.max_patches + 1, 3 * self.patch_size**2

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of patches of an image of this size.

        It is scaled by the largest factor s, to within 1e-5, for which ⌈s · height / p⌉ · ⌈s ·
        width / p⌉ ≤ N; s ≤ 100.
        """

        def of(scale: float) -> tuple[int, int]:
            rows, columns = (
                max(1, math.ceil(size * scale / self.patch_size)) for size in (height, width)
            )
            return rows, columns

        low, high = _SCALES
        while high - low >= _CLOSE:
            middle = (low + high) / 2
            rows, columns = of(middle)
            if rows * columns <= self.max_patches:
                low = middle
            else:
                high = middle
        return of(low)

    def to_array(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the patches and the grid of an RGB image, uint8 (N + 1) × 3p²."""
        p = self.patch_size
        rows, columns = self.grid(image.height, image.width)
        if rows * columns > self.max_patches:
            raise ModelError(
                f"an image of {image.width} × {image.height} pixels is too long for "
                f"{self.max_patches} patches",
                where="patch transform",
                remedy="Crop it, or leave it out.",
            )
        method = Image.Resampling[self.resample.upper()]
        pixels = np.asarray(image.resize((columns * p, rows * p), method))
        patches = pixels.reshape(rows, p, columns, p, 3).swapaxes(1, 2).reshape(rows * columns, -1)
        found = np.zeros(self.shape, dtype=np.uint8)
        found[: len(patches)] = patches
        found[-1, :4] = np.array([rows, columns], dtype=_GRID).view(np.uint8)
        return found

    def inputs(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return what the vision model takes of U × (N + 1) × 3p² bytes.

        `pixel_values`: float32 U × N × 3p², (x / 255 − mean) / std, 0 where there is no patch.
        `pixel_attention_mask`: int64 U × N. `spatial_shapes`: int64 U × 2, rows and columns.
        """
        low, high = pixels[:, -1, 0:4:2].long(), pixels[:, -1, 1:4:2].long()
        shapes = low + 256 * high
        places = torch.arange(self.max_patches, device=pixels.device)
        mask = places < shapes.prod(1, keepdim=True)
        mean, std = (
            torch.tensor(three, device=pixels.device).repeat(self.patch_size**2) * 255.0
            for three in (self.mean, self.std)
        )
        values = (pixels[:, :-1].float() - mean) / std
        return {
            "pixel_values": values * mask.unsqueeze(-1),
            "pixel_attention_mask": mask.long(),
            "spatial_shapes": shapes,
        }

    def save(self, folder: Path) -> None:
        """Write `patch_transform.json` into an existing folder."""
        (folder / _FILE).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path) -> PatchTransform:
        """Read what `save` wrote, or the settings of a SigLIP 2 image processor.

        Raises:
            ModelError: there are none, or they cannot be understood.
        """
        where = f"image processor of {folder}"
        if (folder / _FILE).is_file():
            with loading(where):
                return cls(**saved_transform(folder / _FILE))
        config = processor_config(folder, where)
        try:
            return cls._of_processor(config)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"expected an image processor of SigLIP 2 ({error!r})", where=where
            ) from error

    @classmethod
    def _of_processor(cls, config: dict[str, Any]) -> PatchTransform:
        mean, std = pixel_statistics(config)
        return cls(
            config.get("patch_size", 16),
            config.get("max_num_patches", 256),
            Image.Resampling(config.get("resample", 2)).name.lower(),
            mean,
            std,
        )
