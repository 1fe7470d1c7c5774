"""Images as the pixels that a vision tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rankfield.encoders.columns import ImageSource, ImageValue
from rankfield.images import loaded_image

__all__ = ["PixelTransform", "read_pixels"]


class PixelTransform(Protocol):
    """From images of any size to arrays of one shape, `shape`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of every array."""

    def to_array(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return an RGB image as uint8 of that shape."""


def read_pixels(
    transform: PixelTransform,
    values: Sequence[ImageValue],
    source: ImageSource,
) -> Tensor:
    """Return images as uint8 U × `transform.shape`, by several threads.

    Args:
        transform: of the vision tower.
        values: of an image field, at least one.
        source: from a value to what `images.open_image` takes.

    Raises:
        ImageError: an image that cannot be read.
    """

    def read(value: ImageValue) -> NDArray[np.uint8]:
        with loaded_image(source(value)) as image:
            return transform.to_array(image)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return torch.from_numpy(np.stack(list(pool.map(read, values))))
