"""From a value of an image field to its file, which must lie in the data set's folder."""

from __future__ import annotations

from pathlib import Path

from rankfield.errors import DataError
from rankfield.paths import inside

__all__ = ["OUTSIDE", "image_source"]

OUTSIDE = "leads out of the data set's folder"


def image_source(root: Path | None, value: str | bytes) -> Path | bytes:
    """Turn a value of an image field into what `images.open_image` takes.

    Args:
        root: the data set's folder; None: the working folder.
        value: a path from there, or the bytes of an image.

    Raises:
        DataError: the path, or a link on it, leads out of the folder.
    """
    if isinstance(value, bytes):
        return value
    path = inside(root or Path(), value)
    if path is None:
        raise DataError(
            f"the image path {value!r} {OUTSIDE}",
            where=str(root or Path()),
            remedy="Put the file itself into the folder, or run `rankfield check --fix`.",
        )
    return path
