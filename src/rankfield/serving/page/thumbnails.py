"""Small images of documents, from the data set that an index was built of."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from PIL import Image

from rankfield.errors import RankfieldError
from rankfield.field_values import first_value
from rankfield.images import loaded_image
from rankfield.index.base import KEY
from rankfield.schema import DatasetFolder
from rankfield.serving.page.byte_cache import ByteCache

__all__ = ["Thumbnails", "thumbnail"]

_SIDE, _QUALITY = 256, 76
_CACHE = 32 << 20


class Thumbnails:
    """Makes WebP images of at most 256 pixels a side, and keeps those used last."""

    def __init__(self) -> None:
        self._made = ByteCache(_CACHE)

    def there(self, data: DatasetFolder | None, ids: Sequence[str]) -> set[str]:
        """Return which of these documents have an image."""
        field = _image_field(data)
        if data is None or field is None or not ids:
            return set()
        return {one for one, value in _values(data, field, ids).items() if value}

    def of(self, data: DatasetFolder | None, doc_id: str) -> bytes | None:
        """Return the image of a document; None where it has none, or none that can be read."""
        field = _image_field(data)
        if data is None or field is None:
            return None
        key = (str(data.root), doc_id)
        made = self._made.get(key)
        if made is None:
            value = _values(data, field, [doc_id]).get(doc_id)
            if not value:
                return None
            try:
                made = thumbnail(data.image_source(value))
            except (RankfieldError, OSError):
                return None
            self._made.put(key, made)
        return made


def thumbnail(source: Path | bytes) -> bytes:
    """Return a small image as WebP.

    Raises:
        ImageError: missing, too large, or no image.
    """
    out = io.BytesIO()
    with loaded_image(source) as image:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        image.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()


def _image_field(data: DatasetFolder | None) -> str | None:
    fields = () if data is None else data.document_fields
    return next((field.name for field in fields if field.modality == "image"), None)


def _values(data: DatasetFolder, field: str, ids: Sequence[str]) -> dict[str, str | bytes]:
    """Return the first image of each of these documents."""
    try:
        frame = data.lazy("documents").filter(pl.col(KEY).is_in(list(ids))).select(KEY, field)
        rows = frame.collect().iter_rows()
        return {one: first_value(value) for one, value in rows}
    except (pl.exceptions.PolarsError, OSError):
        return {}
