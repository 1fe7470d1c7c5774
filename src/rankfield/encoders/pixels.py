"""Images as the pixels that a vision tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.columns import ImageSource, ImageValue
from rankfield.encoders.image_transform import ImageTransform
from rankfield.images import loaded_image

__all__ = ["read_pixels"]


def read_pixels(
    transform: ImageTransform,
    values: Sequence[ImageValue],
    source: ImageSource,
) -> Tensor:
    """Return images as uint8 U × H × W × 3, resized as `transform` says, by several threads.

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
