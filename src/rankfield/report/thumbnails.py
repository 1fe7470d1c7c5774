"""Thumbnails for a page: downscaled, encoded once, inlined."""

from __future__ import annotations

import base64

from rankfield.errors import DataError, ImageError
from rankfield.images import small_webp
from rankfield.schema import Tables

__all__ = ["Thumbnails"]

_SIDE = 96
_QUALITY = 72


class Thumbnails:
    """Turns values of image fields into `data:` addresses of WebP images of at most 96 pixels.

    Each image is decoded once, however often it is shown.

    Args:
        dataset: whose images.
        passed: the errors that leave an image out; others are raised.
    """

    def __init__(self, dataset: Tables, passed: type[DataError] = ImageError) -> None:
        self._dataset, self._passed = dataset, passed
        self._encoded: dict[str | bytes, str] = {}

    def address(self, value: str | bytes) -> str:
        """Return the address, or "" when the image is missing or cannot be decoded.

        Raises:
            DataError: the path leads out of the data set's folder, unless that is passed.
        """
        if value not in self._encoded:
            self._encoded[value] = self._encode(value)
        return self._encoded[value]

    def _encode(self, value: str | bytes) -> str:
        try:
            source = self._dataset.image_source(value)
            image = small_webp(source, side=_SIDE, quality=_QUALITY, method=4)
        except self._passed:
            return ""
        return "data:image/webp;base64," + base64.b64encode(image).decode("ascii")
