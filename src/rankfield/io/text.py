"""Opening text files, UTF-8 and perhaps compressed with gzip; what is wrong with them, by row."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

import polars as pl

from rankfield.errors import DataError
from rankfield.expansion import allowed_bytes, require_expansion
from rankfield.paths import require_regular
from rankfield.progress import progress
from rankfield.unicode_text import wrong_byte

__all__ = [
    "LONGEST",
    "is_compressed",
    "not_utf8",
    "open_bytes",
    "open_text",
    "reading",
    "require_short_lines",
    "short_lines",
    "table_suffix",
    "unreadable",
    "with_progress",
]

T = TypeVar("T")

LONGEST = 64 << 20
"""Characters of a line, and of a value."""
_BLOCK = 16 << 20
_GZIP = b"\x1f\x8b"
# polars decompresses these by itself, without a limit
_OTHER_CODECS = (b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x9c", b"\x78\xda")


def is_compressed(path: Path) -> bool:
    """Return whether a file is compressed with gzip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def table_suffix(path: Path) -> str:
    """Return the end of a file's name in lower case, of `a.csv.gz` that of `a.csv`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] != [".parquet"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class _Decompressed(io.RawIOBase):
    """What a gzip file holds, up to what `expansion` allows."""

    def __init__(self, path: Path, raw: BinaryIO) -> None:
        self._path, self._size = path, path.stat().st_size
        self._allowed = allowed_bytes(self._size)
        self._file = gzip.GzipFile(fileobj=raw)
        self._read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._read = self._file.seek(offset, whence)
        return self._read

    def tell(self) -> int:
        return self._read

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._read += len(data)
        if self._read > self._allowed:
            require_expansion(self._path, self._read, self._size)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield a file to read from, decompressed if it is gzip, and the file as it is.

    Raises:
        DataError: while it is read: it holds more than `expansion.allowed_bytes`; at once: it is
            compressed in another way, or no regular file.
    """
    require_regular(path, DataError)
    with path.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        if head.startswith(_OTHER_CODECS):
            raise DataError(
                "compressed, but not with gzip",
                where=str(path),
                remedy="Decompress it, or compress it with gzip.",
            )
        if head.startswith(_GZIP):
            with io.BufferedReader(_Decompressed(path, raw), 1 << 20) as decompressed:
                yield cast(BinaryIO, decompressed), raw
        else:
            yield raw, raw


def require_short_lines(path: Path, file: BinaryIO) -> None:
    """Read a file once through, from where it is, in blocks of bounded size.

    Raises:
        DataError: a line of `LONGEST` bytes or more.
    """
    length, row = 0, 1
    while block := file.read(_BLOCK):
        end = block.find(b"\n")
        length += len(block) if end < 0 else end
        if length >= LONGEST:
            raise _too_long(path, row)
        if end >= 0:
            length = len(block) - 1 - block.rfind(b"\n")
            row += block.count(b"\n")


def _too_long(path: Path, row: int) -> DataError:
    return DataError(
        f"the line has {LONGEST:,} characters or more",
        where=f"{path}, row {row}",
        remedy="Is it the right file?",
    )


def short_lines(path: Path, file: TextIO) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        DataError: one of more than `LONGEST` characters.
    """
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise _too_long(path, number)
        yield line


@contextmanager
def open_text(path: Path) -> Iterator[tuple[TextIO, BinaryIO]]:
    """Yield the text of `open_bytes`, its line ends as they are, and the file as it is."""
    with (
        open_bytes(path) as (data, raw),
        io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text,
    ):
        yield text, raw


def with_progress(path: Path, file: BinaryIO, chunks: Iterable[T]) -> Iterator[T]:
    """Pass on what is read of a file, and show how much of it is read."""
    with progress(f"reading {path.name}", path.stat().st_size >> 20, unit="MB") as advance:
        read = 0
        for chunk in chunks:
            now = file.tell() >> 20
            advance(now - read)
            read = now
            yield chunk


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
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> DataError:
    """Return the error of a file that a library could not read."""
    return DataError(
        f"cannot be read, it may be cut off ({' '.join(str(error).split())})",
        where=str(path),
        remedy="Fetch or write the file again.",
    )


def not_utf8(path: Path) -> DataError:
    """Return the error that names the first byte of a file that is not UTF-8, with its row."""
    with reading(path), open_bytes(path) as (file, _):
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                where = f"{path}, row {number}"
                return wrong_byte(line[error.start :], where, error.start + 1, kind=DataError)
    return DataError("not UTF-8", where=str(path), remedy="Save the file as UTF-8.")
