"""Images of queries: bytes in Python, data URIs in JSON; never an address."""

from __future__ import annotations

import base64
import re

__all__ = ["MAX_IMAGE", "data_uri", "image_bytes", "is_data_uri"]

MAX_IMAGE = 20 << 20
"""Bytes of an encoded image in a query."""

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.ASCII)
_TYPES = (
    (b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"BM", "bmp"),
    (b"II*\0", "tiff"), (b"MM\0*", "tiff"),
)  # fmt: skip


def is_data_uri(text: str) -> bool:
    """Return whether a text begins as a data URI in base64 does."""
    return _DATA_URI.match(text[:200]) is not None


def image_bytes(value: object) -> object:
    """Return the bytes of a data URI, and anything else as it is.

    Raises:
        ValueError: an address, a path, or what is no base64; too large.
    """
    if isinstance(value, str):
        match = _DATA_URI.match(value[:200])
        if match is None:
            raise ValueError(
                "expected an image as a data URI (data:image/jpeg;base64,…); images are never "
                "fetched from an address, and paths are for the command line"
            )
        if (len(value) - match.end()) * 3 // 4 > MAX_IMAGE + 2:
            raise ValueError(_too_large((len(value) - match.end()) * 3 // 4))
        try:
            value = base64.b64decode(value[match.end() :], validate=True)
        except ValueError:
            raise ValueError("expected an image in base64, found something else") from None
    if isinstance(value, bytes) and len(value) > MAX_IMAGE:
        raise ValueError(_too_large(len(value)))
    if value == b"":
        raise ValueError("expected an image, found no bytes")
    return value


def data_uri(image: bytes) -> str:
    """Return an image as a data URI."""
    kind = next((name for head, name in _TYPES if image.startswith(head)), None)
    if kind is None and image[8:12] == b"WEBP":
        kind = "webp"
    kind = f"image/{kind}" if kind else "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def _too_large(size: int) -> str:
    return f"expected an image of at most {MAX_IMAGE:,} bytes, found {size:,}"
