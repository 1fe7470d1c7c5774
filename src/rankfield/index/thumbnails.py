"""Small images of documents, as an index keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from rankfield.errors import RankfieldError
from rankfield.field_values import first_value
from rankfield.images import small_webp
from rankfield.index.base import Thumbnails
from rankfield.progress import progress
from rankfield.schema import RankingDataset

__all__ = ["thumbnail", "thumbnails_of"]

_SIDE, _QUALITY = 160, 76
_AT_ONCE = 256


def thumbnail(source: Path | bytes) -> bytes:
    """Return an image of at most 160 pixels a side as WebP.

    Args:
        source: the file of the image, or its content.

    Raises:
        ImageError: missing, too large, or no image.
    """
    return small_webp(source, side=_SIDE, quality=_QUALITY, method=2)


def thumbnails_of(dataset: RankingDataset) -> Thumbnails | None:
    """Return what makes small images of a data set's documents; None if they have no image field.

    They are of the first image of the first image field; one that cannot be read counts as none.
    """
    field = next((f.name for f in dataset.document_fields if f.modality == "image"), None)
    if field is None:
        return None
    values: pl.Series = dataset.documents[field]

    def made(value: object) -> bytes:
        first = first_value(value)
        try:
            return thumbnail(dataset.image_source(first)) if first else b""
        except (RankfieldError, OSError):
            return b""

    def all_made() -> Iterator[bytes]:
        with (
            ThreadPoolExecutor() as pool,
            progress("thumbnails", len(values), unit="images") as advance,
        ):
            for start in range(0, len(values), _AT_ONCE):
                part = values[start : start + _AT_ONCE].to_list()
                yield from pool.map(made, part)
                advance(len(part))

    return all_made
