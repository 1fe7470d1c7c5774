"""Small pictures for a page: downscaled, encoded once, inlined."""

from __future__ import annotations

import base64
import io

from PIL import Image

from rankfield.errors import ImageError
from rankfield.images import open_image
from rankfield.schema import Tables

__all__ = ["Thumbnails"]

_SIDE = 96
_QUALITY = 72


class Thumbnails:
    """Turns values of image fields into `data:` addresses of WebP pictures of at most 96 pixels.

    Each picture is decoded once, however often it is shown.
    """

    def __init__(self, dataset: Tables) -> None:
        self._dataset = dataset
        self._encoded: dict[str | bytes, str] = {}

    def address(self, value: str | bytes) -> str:
        """Return the address, or "" when the picture is missing or cannot be decoded."""
        if value not in self._encoded:
            self._encoded[value] = self._encode(value)
        return self._encoded[value]

    def _encode(self, value: str | bytes) -> str:
        try:
            image = open_image(self._dataset.image_source(value))
        except ImageError:
            return ""
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=_QUALITY, method=4)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
