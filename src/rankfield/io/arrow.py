"""Parquet files and Arrow streams as the library `datasets` writes them, read by pyarrow alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.io.arrow_sizes import require_bounded_stream
from rankfield.io.columns import require_distinct, require_names, require_width
from rankfield.io.parquet import require_bounded
from rankfield.io.text import unreadable
from rankfield.parsing import parse_json

__all__ = ["arrow_batches", "arrow_columns"]

_ROWS = 2048
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""What closes an Arrow stream. Without it the file may end between two batches unnoticed."""
_IMAGE = {"bytes", "path"}


def arrow_columns(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        DataError: the file is broken or cut off, or a name occurs twice.
    """
    with _reader(path) as (schema, _):
        return list(schema.names)


def arrow_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file or an Arrow stream, some thousand at a time.

    Of the features of `datasets`, an image ({bytes, path}) becomes its bytes, or its path where
    the file holds no bytes, and a class label its name; lists of them likewise.

    Args:
        path: a file ending in .parquet or .arrow.
        columns: those to keep, of which the file may lack some; all by default.

    Raises:
        DataError: the file is broken or cut off, a text is not UTF-8, a name occurs twice.
    """
    with _reader(path) as (schema, batches):
        names = _label_names(schema)
        kept = [n for n in schema.names if columns is None or n in columns]
        start = 0
        for batch in batches(kept):
            _require_utf8(path, batch, start)
            start += batch.num_rows
            # by number: polars calls a column without a name column_0
            numbered = batch.select(kept).rename_columns([str(i) for i in range(len(kept))])
            frame = pl.DataFrame(pl.from_arrow(numbered))
            frame.columns = kept
            yield frame.select(_plain(frame[name], names.get(name)) for name in kept)


@contextmanager
def _reader(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the schema, and a function from columns to an iterator of record batches."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if path.suffix.lower() == ".parquet":
            require_bounded(path)
            with parquet.ParquetFile(path) as file:
                _check_names(path, file.schema_arrow.names)
                yield file.schema_arrow, lambda c: file.iter_batches(_ROWS, columns=c)
        else:
            _require_end(path)
            require_bounded_stream(path)
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
                _check_names(path, stream.schema.names)
                yield stream.schema, lambda _: _parts(stream)
    except (
        *(pa.ArrowException, OSError, UnicodeDecodeError),  # the last: of a column's name
        pl.exceptions.PanicException,
    ) as error:
        raise unreadable(path, error) from error


def _parts(stream: Any) -> Iterator[Any]:
    for batch in stream:
        for start in range(0, batch.num_rows, _ROWS):
            yield batch.slice(start, _ROWS)


def _require_end(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(6) == b"ARROW1":
            raise DataError(
                "expected an Arrow stream, found an Arrow file (Feather)",
                where=str(path),
                remedy="Write it with `datasets`' save_to_disk, or as Parquet.",
            )
        file.seek(max(0, path.stat().st_size - len(_END)))
        if file.read() != _END:
            raise DataError(
                "the stream is cut off: its end mark is missing",
                where=str(path),
                remedy="Fetch or write the file again.",
            )


def _check_names(path: Path, names: Sequence[str]) -> None:
    require_width(path, len(names))
    require_names(path, names)
    require_distinct(names, str(path))


def _require_utf8(path: Path, batch: Any, start: int) -> None:
    """Raise for a text that is not UTF-8: whatever wrote the file may not have looked."""
    import pyarrow as pa

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            # broken as a whole, no single row may show it
            row = next((i for i in range(len(column)) if not _valid(column.slice(i, 1))), 0)
            raise DataError(
                f"not UTF-8 or malformed ({error})",
                where=f"{path}, row {start + row} (counted from 0), column {name!r}",
                remedy="Write the text as UTF-8.",
            ) from error


def _valid(value: Any) -> bool:
    import pyarrow as pa

    try:
        pa.concat_arrays([value]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _label_names(schema: Any) -> dict[str, list[str]]:
    """Return the names of each class label's numbers, from the metadata of `datasets`."""
    try:
        features = parse_json(schema.metadata[b"huggingface"].decode())["info"]["features"]
        return {
            name: feature["names"]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _plain(column: pl.Series, names: list[str] | None) -> pl.Series:
    if names is not None and column.dtype.is_integer():
        known = dict(enumerate(map(str, names)))
        return column.replace_strict(known, default=None, return_dtype=pl.String)
    dtype = column.dtype
    if isinstance(dtype, pl.Struct) and {f.name for f in dtype.fields} == _IMAGE:
        return column.struct.field(_held(column)).alias(column.name)
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        if {f.name for f in dtype.inner.fields} == _IMAGE:
            field = _held(column.explode(keep_nulls=False, empty_as_null=False))
            return column.list.eval(pl.element().struct.field(field))
        return column
    if dtype in (pl.Categorical, pl.Enum) or dtype == pl.Null:
        return column.cast(pl.String)
    return column


def _held(images: pl.Series) -> str:
    """Return "bytes", or "path" where the file holds paths and no bytes."""
    data, path = images.struct.field("bytes"), images.struct.field("path")
    return "path" if data.null_count() == len(data) and path.null_count() < len(path) else "bytes"
