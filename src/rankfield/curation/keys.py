"""What stands for a record's texts and images when records are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from rankfield.curation.texts import digests, joined_text, normalised, same_words
from rankfield.engines import Engine
from rankfield.errors import ImageError
from rankfield.field_values import flat_values
from rankfield.images import MAX_BYTES
from rankfield.paths import read_bytes
from rankfield.progress import progress
from rankfield.schema import Field, Part, Tables, image_source

__all__ = ["ImageHashes", "hash_images", "text_keys"]


def text_keys(
    dataset: Tables, table: str, fields: Sequence[Field], engine: Engine, *, near: bool = False
) -> pl.DataFrame:
    """Return the digests of a table's texts; the texts themselves are read part by part.

    Args:
        dataset: any ranking data set.
        table: "queries" or "documents".
        fields: the text fields that count, joined by a space.
        engine: where parts are read and normalised.
        near: `texts.near_key` too.

    Returns:
        N rows of UInt128: ``text``, of `texts.normalised`, and with `near` ``words``, of
        `texts.near_key`; null where there is no word.
    """
    names = [f.name for f in fields]
    parts = dataset.parts(table, names)
    keys = partial(_text_keys, tuple(fields), near)
    found = [pl.DataFrame(schema={"text": pl.UInt128} | ({"words": pl.UInt128} if near else {}))]
    with progress(f"texts of {table}", dataset.height(table), unit="records") as advance:
        for part in engine.map(keys, parts):
            found.append(part)
            advance(part.height)
    return pl.concat(found)


def _text_keys(fields: tuple[Field, ...], near: bool, part: Part) -> pl.DataFrame:
    words = normalised(joined_text(part.read(), fields))
    keys = {"text": digests(words)}
    if near:
        keys["words"] = digests(same_words(words))
    return pl.DataFrame(keys)


@dataclass
class ImageHashes:
    """Every image that is present: its record's row, its sha256 and how to name it.

    hashes: 64 hexadecimal digits; null of one that cannot be read.
    """

    rows: pl.Series
    hashes: pl.Series
    shown: pl.Series

    @classmethod
    def none(cls) -> ImageHashes:
        """Return the hashes of no image."""
        text = pl.Series(dtype=pl.String)
        return cls(pl.Series(dtype=pl.Int64), text, text.clone())

    def extend(self, more: ImageHashes, start: int) -> None:
        """Add the images of further records, which begin at row `start`."""
        self.rows = self.rows.append(more.rows + start)
        self.hashes = self.hashes.append(more.hashes)
        self.shown = self.shown.append(more.shown)


def hash_images(root: Path | None, images: pl.Series) -> tuple[int, ImageHashes]:
    """Return how many records there are, and the hashes of their images.

    Args:
        root: where paths start from.
        images: paths, bytes or lists of them, one a record.

    Raises:
        DataError: a path leads out of the folder.
    """
    rows, values = flat_values(images)
    hashes = pl.Series([_sha256(root, value) for value in values], dtype=pl.String)
    shown = values if values.dtype == pl.String else hashes.str.slice(0, 8).fill_null("")
    return len(images), ImageHashes(pl.Series(rows), hashes, shown)


def _sha256(root: Path | None, value: str | bytes) -> str | None:
    source = image_source(root, value)
    try:
        data = source if isinstance(source, bytes) else read_bytes(source, MAX_BYTES, ImageError)
    except (ImageError, OSError, ValueError):  # the last: a null character in its name
        return None
    return hashlib.sha256(data).hexdigest()
