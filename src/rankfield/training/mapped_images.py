"""Resized images in a file of the cache, which all processes and runs map into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from rankfield.cache_folder import CacheEntry, cache_entry
from rankfield.encoders import ImageTransform
from rankfield.encoders.columns import ImageSource, ImageValue
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.progress import progress

__all__ = ["MappedImages", "images_key"]

Pixels = NDArray[np.uint8]

_FILE = "pixels.npy"
_AT_ONCE = 256
_KEPT = 8
_FORMAT = 1
"""To be raised when the pixels that a transform gives change."""


class MappedImages:
    """The pixels of U images, uint8 U × `transform.shape`, memory-mapped and read-only.

    The entry of the cache depends on the transform and on the images in their order: path, size and
    time of change of each file, or the bytes. Of such entries the eight used last are kept.

    Args:
        values: of an image field, at least one.
        source: from a value to what `images.open_image` takes.
        transform: how they are resized.
        read: values → their pixels; at most 256 at once.

    Raises:
        ImageError: an image that cannot be read; nothing is kept then.
        OutputError: the cache cannot be written.
    """

    def __init__(
        self,
        values: Sequence[ImageValue],
        source: ImageSource,
        transform: ImageTransform | PatchTransform,
        read: Callable[[Sequence[ImageValue]], Pixels],
    ) -> None:
        def write(folder: Path) -> None:
            pixels = np.lib.format.open_memmap(
                folder / _FILE, mode="w+", dtype=np.uint8, shape=(len(values), *transform.shape)
            )
            with progress("resize images", len(values), unit="images") as advance:
                for start in range(0, len(values), _AT_ONCE):
                    part = values[start : start + _AT_ONCE]
                    pixels[start : start + len(part)] = read(part)
                    advance(len(part))
            pixels.flush()

        name = f"pixels-{images_key(values, source, transform)}"
        self.entry: CacheEntry = cache_entry(
            name, write, siblings=("pixels-", _KEPT), temporary=False
        )
        self.pixels: Pixels = np.load(self.entry.file(_FILE), mmap_mode="r", allow_pickle=False)

    def __getitem__(self, places: NDArray[np.int64]) -> Pixels:
        """Return a copy of the images at these places."""
        return np.array(self.pixels[places])


def images_key(
    values: Sequence[ImageValue], source: ImageSource, transform: ImageTransform | PatchTransform
) -> str:
    """Return a word that stands for the pixels of these images in their order."""
    settings = [_FORMAT, PIL.__version__, type(transform).__name__, asdict(transform)]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for value in values:
        digest.update(json.dumps(_state(value, source)).encode())
    return digest.hexdigest()[:24]


def _state(value: ImageValue, source: ImageSource) -> list[Any]:
    """Return what an image's pixels depend on."""
    found = source(value)
    if isinstance(found, bytes):
        return [hashlib.sha256(found).hexdigest()]
    assert isinstance(found, Path)  # data sets hold no opened images
    try:
        state = found.stat()
    except OSError:  # reading it says what is the matter
        return [str(found)]
    return [str(found.resolve()), state.st_size, state.st_mtime_ns]
