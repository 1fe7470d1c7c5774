"""Records as a caller gives them: strings, images, dictionaries of fields, or a frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from PIL import Image

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageValue, value_column
from rankfield.encoders.present_images import require_images
from rankfield.encoders.rows import FrameRows, Rows
from rankfield.errors import DataError, InputError
from rankfield.field_values import is_absent
from rankfield.schema import Field, image_source
from rankfield.unicode_text import half_surrogate, is_blank

__all__ = ["read_records"]

_ADD = "Add the file, or leave the image out."
_TEXT_TYPES = (pl.String,)
_IMAGE_TYPES = (pl.String, pl.Binary, pl.List(pl.String), pl.List(pl.Binary))

_Values = list[Any]


def read_records(
    records: Any,
    side: Side,
    fields: Sequence[Field],
    *,
    field: str | None = None,
    root: str | Path | None = None,
    spare: Field | None = None,
) -> Rows:
    """Return records as rows of these fields, each checked to hold at least one of them.

    Args:
        records: a record or an iterable of them, where a record is a string, an image (path,
            bytes, PIL image), or a dictionary from field names to values; or a frame of polars,
            pandas or pyarrow with a column for each field. A text field holds a string, an image
            field an image or a list of images; None and "" are absent, other keys and columns are
            passed over. In a dictionary or frame an image may be a string, its path.
        side: whose fields they are.
        fields: with their weights.
        field: which field strings and images that stand alone go to; not needed where the side
            has one field of that modality.
        root: the folder that paths of images start from and stay in; None: the working folder,
            and any path.
        spare: a further field that records may hold; the columns of a frame are none.

    Raises:
        DataError: a record that holds none of the fields, or something else; names its row.
        InputError: a string or an image alone that could belong to several fields, or to none.
    """
    sources = _Sources(None if root is None else Path(root))
    frame = _frame(records, fields)
    if frame is not None:
        return _frame_rows(frame, side, fields, sources)
    fields = fields if spare is None else (*fields, spare)
    items = [records] if _is_record(records) else list(records)
    values = [_values(item, row, side, fields, field) for row, item in enumerate(items)]
    return _RecordRows(values, fields, sources)


@dataclass(frozen=True)
class _Sources:
    """From a value of an image field to what `images.open_image` takes."""

    root: Path | None

    def __call__(self, value: ImageValue) -> Path | bytes | Image.Image:
        if not isinstance(value, str):
            return value
        if self.root is None:
            return Path(value)
        return image_source(self.root, value)


@dataclass(frozen=True)
class _RecordRows:
    """Records as field name → the values that are present."""

    records: Sequence[Mapping[str, _Values]]
    fields: Sequence[Field]
    image: _Sources

    def __len__(self) -> int:
        return len(self.records)

    def columns(self, start: int, stop: int) -> list[FieldColumn]:
        part = self.records[start:stop]
        return [value_column(f, [record.get(f.name, []) for record in part]) for f in self.fields]

    def require_images(self, first: int) -> None:
        for field in self.fields:
            if field.modality == "image":
                values = [
                    [value for value in record.get(field.name, []) if isinstance(value, str)]
                    for record in self.records[first:]
                ]
                column = value_column(field, values)
                require_images(column, self.image, lambda row: _place(first + row), remedy=_ADD)


def _place(row: int) -> str:
    return f"records, row {row} (counted from 0)"


def _is_record(records: Any) -> bool:
    return isinstance(records, str | bytes | Path | Image.Image | Mapping)


def _values(
    item: Any, row: int, side: Side, fields: Sequence[Field], field: str | None
) -> dict[str, _Values]:
    """Return field name → the values of a record that are present."""
    if isinstance(item, str):
        item = {_field_of("text", side, fields, field): item}
    elif isinstance(item, bytes | Path | Image.Image):
        item = {_field_of("image", side, fields, field): item}
    elif not isinstance(item, Mapping):
        raise DataError(
            f"expected a string, an image or a dictionary of fields, found a {type(item).__name__}",
            where=_place(row),
        )
    found = {f.name: _present(item.get(f.name), f, row) for f in fields}
    if not any(found.values()):
        raise _nothing(row, side, fields, f"; its keys are {_named(item)}" if item else "")
    return found


def _nothing(row: int, side: Side, fields: Sequence[Field], keys: str = "") -> DataError:
    names = _named(field.name for field in fields)
    return DataError(
        f"expected at least one of the {side} fields {names}, found none{keys}",
        where=_place(row),
        remedy="Leave the record out, or give it one of the fields.",
    )


def _present(value: Any, field: Field, row: int) -> _Values:
    """Return the values of a field, those left out that are None or empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # missing, in pandas
        return []
    if field.modality == "text":
        if not isinstance(value, str):
            raise _unexpected("a string", value, field, row)
        if half_surrogate(value) is not None:
            raise DataError(
                "expected Unicode text, found half of a surrogate pair",
                where=f"{_place(row)}, field {field.name!r}",
            )
        return [] if is_blank(value) else [value]
    items = value if isinstance(value, list | tuple) else [value]
    found = []
    for item in items:
        if item is None:
            continue
        if not isinstance(item, str | bytes | Path | Image.Image):
            expected = "an image (path, bytes, PIL image) or a list of them"
            raise _unexpected(expected, item, field, row)
        if not (is_blank(item) if isinstance(item, str) else item == b""):
            found.append(str(item) if isinstance(item, Path) else item)
    return found


def _unexpected(expected: str, value: Any, field: Field, row: int) -> DataError:
    return DataError(
        f"expected {expected}, found a {type(value).__name__}",
        where=f"{_place(row)}, field {field.name!r}",
    )


def _field_of(modality: str, side: Side, fields: Sequence[Field], field: str | None) -> str:
    """Return the field that a string or an image alone goes to."""
    names = [f.name for f in fields if f.modality == modality]
    what = "a string" if modality == "text" else "an image"
    if field is not None:
        if field not in names:
            raise InputError(
                f"expected a field that takes {what}, one of {_named(names) or 'none'}; "
                f"found {field!r}",
                where=f"{side} fields",
            )
        return field
    if not names:
        raise InputError(
            f"the model's {side} fields ({_named(f.name for f in fields)}) take no {modality}, "
            f"found {what}",
            where=f"{side} fields",
        )
    if len(names) > 1:
        raise InputError(
            f"{what} alone could be any of {_named(names)}",
            where=f"{side} fields",
            remedy=f"Give dictionaries ({{{names[0]!r}: …}}), or say which: field={names[0]!r}.",
        )
    return names[0]


def _frame(records: Any, fields: Sequence[Field]) -> pl.DataFrame | None:
    """Return a frame of polars, pandas or pyarrow as one of polars; None for other records."""
    if isinstance(records, pl.DataFrame | pl.LazyFrame):
        return records.lazy().collect()
    if isinstance(records, pa.Table | pa.RecordBatch):
        frame = pl.from_arrow(records)
        assert isinstance(frame, pl.DataFrame)
        return frame
    if type(records).__name__ == "DataFrame" and type(records).__module__.startswith("pandas"):
        used = records[[field.name for field in fields if field.name in records.columns]]
        try:
            return pl.from_pandas(used) if used.shape[1] else pl.DataFrame({"": range(len(used))})
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"a column cannot be read ({error})",
                where="records",
                remedy="Give dictionaries: frame.to_dict('records').",
            ) from error
    return None


def _frame_rows(
    frame: pl.DataFrame, side: Side, fields: Sequence[Field], sources: _Sources
) -> FrameRows:
    known = [field for field in fields if field.name in frame.columns]
    for field in known:
        text = field.modality == "text"
        dtype = frame.schema[field.name]
        if dtype == pl.Null or (text and dtype in (pl.Categorical, pl.Enum)):
            frame = frame.with_columns(pl.col(field.name).cast(pl.String))
        elif dtype not in (_TEXT_TYPES if text else _IMAGE_TYPES):
            raise DataError(
                f"expected {'text' if text else 'paths, bytes, or lists of them'}, "
                f"found a column of {dtype}",
                where=f"records, column {field.name!r}",
            )
    if frame.height:
        if not known:
            raise _nothing(0, side, fields, f"; the columns are {_named(frame.columns)}")
        absent = frame.select(
            pl.all_horizontal([is_absent(f.name, frame.schema[f.name]) for f in known])
        ).to_series()
        if absent.any():
            raise _nothing(int(absent.arg_max() or 0), side, known)
    return FrameRows(frame, known, sources, _place, remedy=_ADD)


def _named(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names))
