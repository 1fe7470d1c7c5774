"""Opening text files, UTF-8 and perhaps packed with gzip; what is wrong with them, by row."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import polars as pl

from rankfield.errors import DataError
from rankfield.unicode_text import wrong_byte

__all__ = ["is_packed", "not_utf8", "open_bytes", "open_text", "reading", "table_suffix"]


def is_packed(path: Path) -> bool:
    """Return whether a file is packed with gzip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def table_suffix(path: Path) -> str:
    """Return the end of a file's name in lower case, of `a.csv.gz` that of `a.csv`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] != [".parquet"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield a file to read from, unpacked if it is packed with gzip, and the file as it is."""
    with path.open("rb") as raw:
        if is_packed(path):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast(BinaryIO, unpacked), raw
        else:
            yield raw, raw


@contextmanager
def open_text(path: Path) -> Iterator[tuple[TextIO, BinaryIO]]:
    """Yield the text of `open_bytes`, its line ends as they are, and the file as it is."""
    with (
        open_bytes(path) as (data, raw),
        io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text,
    ):
        yield text, raw


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the failures of reading a table into a `DataError` that names the file."""
    try:
        yield
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except (
        *(OSError, EOFError, zlib.error),
        *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    ) as error:
        raise DataError(
            f"cannot be read, it may be cut off ({' '.join(str(error).split())})",
            where=str(path),
            remedy="Fetch or write the file again.",
        ) from error


def not_utf8(path: Path) -> DataError:
    """Return the error that names the first byte of a file that is not UTF-8, with its row."""
    with reading(path), open_bytes(path) as (file, _):
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                where = f"{path}, row {number}"
                return wrong_byte(line[error.start :], where, error.start + 1, kind=DataError)
    return DataError("not UTF-8", where=str(path), remedy="Save the file as UTF-8.")
