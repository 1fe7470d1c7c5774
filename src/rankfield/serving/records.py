"""From JSON to what a model embeds and an index stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from rankfield.encoders import RankingModel
from rankfield.errors import DataError
from rankfield.index.base import KEY
from rankfield.query.images import image_bytes
from rankfield.query.parts import MAX_ID
from rankfield.schema import Field
from rankfield.unicode_text import is_blank

__all__ = ["Document", "document_images", "read_documents", "stored_frame"]

Document = Mapping[str, Any]


def read_documents(
    values: Sequence[object], model: RankingModel, stored: pl.Schema
) -> list[dict[str, Any]]:
    """Return documents whose images are bytes, checked.

    Args:
        values: of a request.
        model: whose document fields, and
        stored: whose columns they may have.

    Raises:
        DataError: no id, an unknown key, a field of another kind, or nothing to embed; says where.
    """
    fields = {field.name: field for field in model.fields("document")}
    return [_document(value, f"documents.{i}", fields, stored) for i, value in enumerate(values)]


def _document(
    value: object, place: str, fields: Mapping[str, Field], stored: pl.Schema
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _fault(f"expected an object, found a {type(value).__name__}", place)
    doc_id = value.get(KEY)
    if not isinstance(doc_id, str) or is_blank(doc_id) or len(doc_id) > MAX_ID:
        raise _fault(f"expected a text of 1 to {MAX_ID:,} characters", f"{place}.{KEY}")
    known = {KEY, *stored, *fields}
    for name in value:
        if name not in known:
            said = ", ".join(sorted(known))
            raise _fault(f"unknown key {str(name)[:100]!r}; the index has {said}", place)
    found = dict(value)
    for name, field in fields.items():
        found[name] = _content(value.get(name), field, f"{place}.{name}")
    if not any(found[name] for name in fields):
        said = ", ".join(fields)
        raise _fault(f"expected at least one of the fields {said}, found none", place)
    return found


def _content(value: object, field: Field, place: str) -> Any:
    """Return a text, or the bytes of images."""
    if value is None:
        return None
    if field.modality == "text":
        if not isinstance(value, str):
            raise _fault(f"expected a text, found a {type(value).__name__}", place)
        return None if is_blank(value) else value
    several = value if isinstance(value, list) else [value]
    try:
        images = [image_bytes(one) for one in several if isinstance(one, str)]
    except ValueError as error:
        raise _fault(str(error), place) from None
    if len(images) != len(several):
        raise _fault("expected an image as a data URI, or a list of them", place)
    return images if isinstance(value, list) else images[0]


def document_images(documents: Sequence[Document]) -> Iterator[tuple[str, bytes]]:
    """Yield the place in the request and the bytes of each image."""
    for i, document in enumerate(documents):
        for name, value in document.items():
            for image in value if isinstance(value, list) else [value]:
                if isinstance(image, bytes):
                    yield f"documents.{i}.{name}", image


def stored_frame(documents: Sequence[Document], stored: pl.Schema) -> pl.DataFrame:
    """Return the stored columns of documents; what is absent is null.

    Raises:
        DataError: a value of another type than the column's.
    """
    columns = []
    for name, kind in stored.items():
        read = _reader(kind)
        values = []
        for i, document in enumerate(documents):
            value = document.get(name)
            try:
                values.append(None if value is None else read(value))
            except (TypeError, ValueError, OverflowError):
                found = f"{type(value).__name__} {str(value)[:60]!r}"
                raise _fault(f"expected {kind}, found {found}", f"documents.{i}.{name}") from None
        try:
            columns.append(_series(name, values, kind))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            raise _fault(f"a value does not fit {kind}", f"documents, {name}") from None
    return pl.DataFrame(columns)


def _series(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        moments = pl.Series(name, values, dtype=pl.Datetime(kind.time_unit, "UTC"))
        return moments.dt.convert_time_zone(kind.time_zone)
    return pl.Series(name, values, dtype=kind, strict=True)


def _reader(kind: pl.DataType) -> Callable[[Any], Any]:
    """Return what reads a JSON value for a column; raises TypeError and ValueError."""
    if isinstance(kind, pl.Datetime):
        zoned = kind.time_zone is not None
        return lambda value: _moment(_exactly(value, str), zoned)
    if kind.is_float():
        return lambda value: float(_exactly(value, int, float))
    if kind == pl.Date:
        return lambda value: date.fromisoformat(_exactly(value, str))
    plain = int if kind.is_integer() else _PLAIN.get(kind.base_type())
    return _unreadable if plain is None else lambda value: _exactly(value, plain)


_PLAIN: Mapping[object, type] = {pl.String: str, pl.Boolean: bool}


def _exactly(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError
    return value


def _moment(text: str, zoned: bool) -> datetime:
    moment = datetime.fromisoformat(text)
    if zoned:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment.tzinfo is not None:
        raise ValueError
    return moment


def _unreadable(value: Any) -> Any:
    raise TypeError(f"a column of this type cannot be written: {value!r}")


def _fault(problem: str, place: str) -> DataError:
    return DataError(problem, where=f"request, {place}")
