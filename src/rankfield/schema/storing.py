"""Data set folders: three Parquet tables written in a stream, and the images beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.field_values import content_bytes, flat_values
from rankfield.files import link_or_copy, new_folder
from rankfield.io.parquet import require_bounded
from rankfield.paths import inside, require_regular
from rankfield.schema.header import TABLES, write_header
from rankfield.schema.tables import Tables

__all__ = [
    "fingerprint",
    "image_file",
    "read_errors",
    "require_table",
    "save_folder",
    "save_images",
    "write_table",
]

_ROWS = 131_072
_ROWS_OF_IMAGES = 1_024
_CELLS = 1 << 20
_REMEDY = "Run `rankfield check --fix`, or clear the field of that row."


def save_folder(data: Tables, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write the folder (`dataset.toml`, three Parquet tables, images), a stretch at a time.

    Raises:
        OutputError: the folder exists and `overwrite` is false, or it cannot be written.
        ImageError: an image that a row names does not exist.
    """
    with new_folder(folder, overwrite=overwrite) as temporary:
        for table in TABLES:
            write_table(data.lazy(table), temporary / f"{table}.parquet")
        write_header(temporary, data)
        save_images(data, temporary)


def write_table(table: pl.LazyFrame, path: Path) -> None:
    """Write a Parquet file in row groups of one size, so that a part of it can be read alone."""
    types = table.collect_schema().dtypes()
    images = any(t in (pl.Binary, pl.List(pl.Binary)) for t in types)
    table.sink_parquet(
        path,
        row_group_size=_ROWS_OF_IMAGES if images else _ROWS,
        maintain_order=True,
        engine="streaming",
    )


def save_images(data: Tables, target: Path) -> None:
    """Link or copy every image that a row names by its path into `target`.

    Raises:
        DataError: a path leads out of the folder.
        ImageError: there is no such image.
    """
    for table in ("queries", "documents"):
        for f in data.fields(table):
            if f.modality != "image" or data.schema(table)[f.name] not in (
                pl.String,
                pl.List(pl.String),
            ):
                continue
            rows, values = flat_values(data.frame(table, [f.name])[f.name])
            first = pl.DataFrame({"row": rows, "path": values}).unique("path", keep="first")
            for row, path in first.sort("row").rows():
                source = image_file(data, path, f"{table}, row {row} (counted from 0), {f.name}")
                if not (target / path).exists():
                    link_or_copy(source, target / path)


def image_file(data: Tables, path: str, place: str) -> Path:
    """Return the file of an image in the data set's folder, its links resolved.

    Args:
        data: whose folder.
        path: as a row names it.
        place: how to name the row in a message.

    Raises:
        DataError: the path leads out of the folder, through links too.
        ImageError: there is no such image, or it is not a regular file.
    """
    place = f"{data.name}, {place}"
    try:
        source = data.image_source(path)
    except DataError as error:
        raise DataError(error.problem, where=place, remedy=error.remedy) from None
    assert isinstance(source, Path)
    try:
        source = source.resolve()
        require_regular(source, ImageError)
    except ImageError as error:
        raise ImageError(f"{path}: {error.problem}", where=place, remedy=_REMEDY) from None
    except (OSError, ValueError, RuntimeError):  # the last: links in a circle
        raise ImageError(f"{path}: no such image", where=place, remedy=_REMEDY) from None
    return source


def fingerprint(data: Tables) -> str:
    """Return sha256 of the tables' contents and fields, as 16 hexadecimal digits.

    Column after column, or a few small ones, is read and forgotten. Images count by path, not by
    content.
    """
    digest = hashlib.sha256(repr((data.query_fields, data.document_fields)).encode())
    for table in TABLES:
        names = sorted(data.schema(table))
        size = max(_CELLS // max(data.height(table), 1), 1)
        for start in range(0, len(names), size):
            for column in data.frame(table, names[start : start + size]):
                for part in content_bytes(column):
                    digest.update(part)
    return digest.hexdigest()[:16]


def require_table(root: Path, path: Path) -> None:
    """Look at a table of a data set folder before it is read.

    Raises:
        DataError: a link that leads out of the folder, no regular file, or one that holds far more
            than its size (`expansion.allowed_bytes`).
    """
    if inside(root, path.name) is None:
        raise DataError(
            "the link leads out of the data set's folder",
            where=str(path),
            remedy="Put the table itself there.",
        )
    require_bounded(path)


@contextmanager
def read_errors(path: Path) -> Iterator[Path]:
    """Turn the failures of reading a table into a `DataError` that names it."""
    if not path.is_file():
        raise DataError(
            "there is no such table", where=str(path), remedy="Import the data set again."
        )
    try:
        yield path
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=str(path)) from error
