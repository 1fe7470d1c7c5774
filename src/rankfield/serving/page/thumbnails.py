"""Small images of documents: those of the index, or of the data set that it was built of."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from rankfield.errors import DataError, RankfieldError
from rankfield.field_values import first_value
from rankfield.index import Index
from rankfield.index.base import KEY
from rankfield.index.thumbnails import thumbnail
from rankfield.schema import DatasetFolder
from rankfield.serving.page.byte_cache import ByteCache
from rankfield.serving.page.data_sets import DataSets

__all__ = ["Thumbnails"]

_CACHE = 32 << 20


class Thumbnails:
    """WebP images that indexes keep.

    Of documents of which an index keeps none, as one of before it kept any, they are made from the
    data set by `doc_id`, and those used last are kept.

    Args:
        data_sets: of the indexes.
    """

    def __init__(self, data_sets: DataSets) -> None:
        self._data_sets, self._made = data_sets, ByteCache(_CACHE)

    def there(self, index: Index, ids: Sequence[str]) -> set[str]:
        """Return which of these documents of an index have an image."""
        try:
            kept = dict(zip(ids, index.thumbnails(ids), strict=True))
        except DataError:  # one was deleted meanwhile
            return set()
        found = {one for one, image in kept.items() if image}
        rest = [one for one, image in kept.items() if image is None]
        data = self._data_sets.of(index) if rest else None
        field = _image_field(data)
        if data is None or field is None:
            return found
        return found | {one for one, value in _values(data, field, rest).items() if value}

    def of(self, index: Index, doc_id: str) -> bytes | None:
        """Return the image of a document; None where it has none, or none that can be read."""
        try:
            (kept,) = index.thumbnails([doc_id])
        except DataError:
            return None
        return self._from_data(index, doc_id) if kept is None else kept or None

    def _from_data(self, index: Index, doc_id: str) -> bytes | None:
        data = self._data_sets.of(index)
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
