"""Near duplicates among images: perceptual hashes find them, hash and colours confirm."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from rankfield.curation.criteria import Pairs, Wanted, bucket_pairs
from rankfield.engines import Engine, LocalEngine
from rankfield.errors import ImageError, InputError
from rankfield.extras import needs_extra
from rankfield.field_values import first_value
from rankfield.images import loaded_image
from rankfield.progress import progress
from rankfield.schema import Tables, image_source
from rankfield.validate.images import image_slices

__all__ = ["MOST_BITS", "ImageCriterion", "fingerprint_images"]

MOST_BITS = 16
_BITS = 64
_GRID = 8
_COLOUR = 24


class ImageCriterion:
    """Two images are near duplicates if their hashes are close and their colours as well.

    The hash is `imagehash.phash`: the signs of the 8 × 8 lowest frequencies of the grey image
    (Zauner, 2010), 64 bits; it survives scaling, compression and small changes. It sees no colour,
    so the mean red, green and blue of 8 × 8 cells are compared too, and none may differ by over
    24 of 255: variants in other colours stay apart. Of several images of a record the first
    counts; records without one that can be read are like no other.

    Pairs at most `bits` apart agree in at least one of bits + 1 parts of the hash, so that none
    is missed.

    Args:
        hashes: uint64 (N,).
        colours: uint8 (N, 192), red, green, blue of each cell.
        known: bool (N,), whether there is an image.
        bits: largest Hamming distance, 0 to 16.
        name: the field.

    Raises:
        InputError: bits out of range.
    """

    def __init__(
        self,
        hashes: NDArray[np.uint64],
        colours: NDArray[np.uint8],
        known: NDArray[np.bool_],
        bits: int,
        *,
        name: str = "image",
    ) -> None:
        if not 0 <= bits <= MOST_BITS:
            raise InputError(
                f"expected 0 to {MOST_BITS} bits of {_BITS}, found {bits}", where=f"near {name}"
            )
        self._hashes, self._colours, self._bits = hashes, colours, bits
        self.how = f"{name} ≤ {bits} bits (perceptual hash)"
        self.unread = 0
        contents = np.concatenate([hashes[:, None].view(np.uint8), colours], axis=1)
        codes = [bytes(row) if there else None for row, there in zip(contents, known, strict=True)]
        self.same = pl.Series(codes, dtype=pl.Binary)

    @classmethod
    def of(
        cls, dataset: Tables, table: str, name: str, bits: int, engine: Engine | None = None
    ) -> ImageCriterion:
        """Read the images of a field.

        Raises:
            InputError: bits out of range.
            MissingExtraError: imagehash is not installed.
        """
        _phash()
        found: list[tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.bool_], int]] = []
        look = partial(fingerprint_images, dataset.root)
        engine = engine or LocalEngine()
        with progress("comparing images", dataset.height(table), unit="records") as advance:
            for part in engine.map(look, image_slices(dataset, table, name)):
                found.append(part)
                advance(len(part[0]))
        none = fingerprint_images(None, pl.Series([], dtype=pl.String))
        hashes, colours, known = (
            np.concatenate([none[i], *(part[i] for part in found)]) for i in range(3)
        )
        criterion = cls(hashes, colours, known, bits, name=name)
        criterion.unread = sum(part[3] for part in found)
        return criterion

    def candidates(self, rows: NDArray[np.int64], wanted: Wanted) -> Iterator[Pairs]:
        """Yield the pairs that agree in a part of their hashes."""
        edges = np.linspace(0, _BITS, self._bits + 2).astype(int)
        parts = [
            (self._hashes >> np.uint64(low)) & np.uint64(2 ** int(high - low) - 1)
            for low, high in pairwise(edges)
        ]
        for pairs in bucket_pairs(np.stack(parts), rows, wanted):
            # the hashes are cheap to compare: what is left is worth asking others about
            yield pairs[self.alike(pairs)]

    def alike(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for each pair whether hashes and colours are close."""
        first, second = pairs[:, 0], pairs[:, 1]
        apart = np.bitwise_count(self._hashes[first] ^ self._hashes[second])
        close: NDArray[np.bool_] = apart <= self._bits
        places = np.flatnonzero(close)
        a, b = (self._colours[rows[places]].astype(np.int16) for rows in (first, second))
        close[places] = np.abs(a - b).max(axis=1) <= _COLOUR
        return close


def fingerprint_images(
    root: Path | None, images: pl.Series
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.bool_], int]:
    """Return hashes, colours and presence as `ImageCriterion` wants them, and the unreadable.

    Args:
        root: where paths start from.
        images: paths, bytes or lists of them, one a record; the first of a list counts.
    """
    count = len(images)
    hashes = np.zeros(count, dtype=np.uint64)
    colours = np.zeros((count, 3 * _GRID * _GRID), dtype=np.uint8)
    known = np.zeros(count, dtype=bool)
    unread = 0
    phash = _phash() if count else None
    for row, value in enumerate(images.to_list()):
        image = first_value(value)
        if image is None:
            continue
        try:
            with loaded_image(image_source(root, image)) as image:
                bits = np.packbits(phash(image).hash.ravel()) if phash else np.zeros(8, np.uint8)
                grid = image.resize((_GRID, _GRID), Image.Resampling.BOX)
        except ImageError:
            unread += 1
            continue
        hashes[row] = bits.view(">u8")[0]
        colours[row] = np.asarray(grid, dtype=np.uint8).ravel()
        known[row] = True
    return hashes, colours, known, unread


def _phash() -> Any:
    with needs_extra("dedupe", "near duplicates of images need the package imagehash"):
        return importlib.import_module("imagehash").phash
