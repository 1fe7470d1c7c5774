"""Data set folders: three Parquet tables written in a stream, and the pictures beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.field_values import content_bytes, flat_values
from rankfield.files import link_or_copy, new_folder, stays_inside
from rankfield.schema.header import TABLES, write_header
from rankfield.schema.tables import Tables

__all__ = ["fingerprint", "read_errors", "save_folder", "save_pictures", "write_table"]

_ROWS = 131_072
_ROWS_OF_PICTURES = 1_024


def save_folder(data: Tables, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write the folder (`dataset.toml`, three Parquet tables, pictures), a stretch at a time.

    Raises:
        OutputError: the folder exists and `overwrite` is false, or it cannot be written.
        ImageError: a picture that a row names does not exist.
    """
    with new_folder(folder, overwrite=overwrite) as temporary:
        for table in TABLES:
            write_table(data.lazy(table), temporary / f"{table}.parquet")
        write_header(temporary, data)
        save_pictures(data, temporary)


def write_table(table: pl.LazyFrame, path: Path) -> None:
    """Write a Parquet file in row groups of one size, so that a part of it can be read alone."""
    types = table.collect_schema().dtypes()
    pictures = any(t in (pl.Binary, pl.List(pl.Binary)) for t in types)
    table.sink_parquet(
        path,
        row_group_size=_ROWS_OF_PICTURES if pictures else _ROWS,
        maintain_order=True,
        engine="streaming",
    )


def save_pictures(data: Tables, target: Path) -> None:
    """Link or copy every picture that a row names by its path into `target`.

    Raises:
        DataError: a path leads out of the folder.
        ImageError: there is no such picture.
    """
    for table in ("queries", "documents"):
        for f in data.fields(table):
            if f.modality != "image" or data.schema(table)[f.name] not in (
                pl.String,
                pl.List(pl.String),
            ):
                continue
            _, values = flat_values(data.frame(table, [f.name])[f.name])
            for path in values.unique(maintain_order=True):
                _save_picture(data, path, target)


def _save_picture(data: Tables, path: str, target: Path) -> None:
    source = (data.root or Path()) / path
    if not stays_inside(path):
        raise DataError(
            f"the picture path {path!r} leads out of the data set's folder", where=data.name
        )
    if (target / path).exists():
        return
    if not source.is_file():
        raise ImageError(
            "no such picture",
            where=str(source),
            remedy="Run `rankfield check --fix`, or clear the field of that row.",
        )
    link_or_copy(source, target / path)


def fingerprint(data: Tables) -> str:
    """Return sha256 of the tables' contents and fields, as 16 hexadecimal digits.

    Column after column is read and forgotten. Pictures count by path, not by content.
    """
    digest = hashlib.sha256(repr((data.query_fields, data.document_fields)).encode())
    for table in TABLES:
        for column in sorted(data.schema(table)):
            for part in content_bytes(data.frame(table, [column])[column]):
                digest.update(part)
    return digest.hexdigest()[:16]


@contextmanager
def read_errors(path: Path) -> Iterator[Path]:
    """Turn the failures of reading a table into a `DataError` that names it."""
    if not path.is_file():
        raise DataError(
            "there is no such table", where=str(path), remedy="Import the data set again."
        )
    try:
        yield path
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=str(path)) from error
