"""Comma- and tab-delimited text: exactly, with each row's line, and fast in large files."""

from __future__ import annotations

import codecs
import csv
import mmap
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import DataError
from rankfield.io.columns import MAX_CELLS, require_distinct, require_names, require_width
from rankfield.io.text import (
    LONGEST,
    is_compressed,
    open_text,
    reading,
    short_lines,
    table_suffix,
    with_progress,
)

__all__ = ["DELIMITERS", "csv_batches", "csv_lines", "exact_csv_batches", "read_header"]

T = TypeVar("T")

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""The delimiter of a table of text, by the end of its file's name."""
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_ROWS = 100_000
_CHUNK_SIZE = 1 << 26
_BLOCK = 16 << 20


def csv_batches(
    path: Path, columns: Sequence[str] | None = None, *, delimiter: str | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file as text, null where there is nothing; a batch at a time.

    UTF-8 with or without a byte order mark, with a header, quoted with '"'. Rows are those of
    `exact_csv_batches`, without a loop over them unless it is needed.

    Args:
        path: a file ending in .csv or .tsv, perhaps compressed with gzip.
        columns: those to keep; all by default.
        delimiter: that of `DELIMITERS` by default.

    Raises:
        DataError: the file is broken; says at which row.
    """
    import pyarrow as pa

    delimiter = delimiter or DELIMITERS[table_suffix(path)]
    header = read_header(path, delimiter)
    kept = [name for name in header if columns is None or name in columns]
    rows = 0
    if not is_compressed(path) and _header_is_first(path) and _quotes_are_paired(path, delimiter):
        try:
            for frame in _parsed(path, delimiter, header, kept):
                rows += frame.height
                yield frame
        except pa.ArrowInvalid:
            pass  # the exact reader names the row
        else:
            return
    for frame in exact_csv_batches(path, delimiter):
        yield frame.select(kept).slice(rows)
        rows = max(rows - frame.height, 0)


def exact_csv_batches(path: Path, delimiter: str | None = None) -> Iterator[pl.DataFrame]:
    """Yield what `csv_batches` yields, by the csv module.

    Raises:
        DataError: the file is broken; says at which row.
    """
    delimiter = delimiter or DELIMITERS[table_suffix(path)]
    with reading(path), open_text(path) as (file, raw):
        rows = _rows(path, file, delimiter)
        header = _header(path, next(rows, (1, []))[1], delimiter)
        checked = _of_width(path, rows, len(header))
        most = max(min(_ROWS, MAX_CELLS // len(header)), 1)
        chunks = _chunks(checked, most, lambda row: sum(map(len, row)))
        for chunk in with_progress(path, raw, chunks):
            columns = zip(*chunk, strict=True)
            yield pl.DataFrame(
                [
                    pl.Series(name, values, dtype=pl.String).replace("", None)
                    for name, values in zip(header, columns, strict=True)
                ]
            )


def csv_lines(path: Path, delimiter: str | None = None) -> Iterator[int]:
    """Yield the line at which each row begins, counted from 1; the header is on line 1."""
    with open_text(path) as (file, _):
        rows = _rows(path, file, delimiter or DELIMITERS[table_suffix(path)])
        yield from (line for line, _ in islice(rows, 1, None))


def read_header(path: Path, delimiter: str | None = None) -> list[str]:
    """Return the names of the columns, without blanks around them.

    Raises:
        DataError: the file is empty, not UTF-8, or delimited by something else, or a name is
            duplicated.
    """
    delimiter = delimiter or DELIMITERS[table_suffix(path)]
    with reading(path), open_text(path) as (file, _):
        first = file.readline(LONGEST)
        for other, name in _NAMES.items():
            if f'"{other}"' in first and f'"{delimiter}"' not in first:
                raise _delimited_by(path, name, delimiter, first.strip())
        file.seek(0)
        return _header(path, next(_rows(path, file, delimiter), (1, []))[1], delimiter)


def _chunks(items: Iterator[T], most: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield items, at most so many and about `_CHUNK_SIZE` characters at a time."""
    chunk: list[T] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if len(chunk) >= most or total >= _CHUNK_SIZE:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _rows(path: Path, file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line where it begins, values) of each row that is not blank."""
    csv.field_size_limit(LONGEST)
    reader: Any = csv.reader(short_lines(path, file), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end of data" in str(error) or "field limit" in str(error)
        raise DataError(
            "a quote is opened and never closed" if unclosed else f"malformed ({error})",
            where=f"{path}, row {line}",
            remedy="Write a quote inside a quoted value twice.",
        ) from None


def _header(path: Path, row: list[str], delimiter: str) -> list[str]:
    if not row:
        raise DataError(
            "the file is empty; expected a header row",
            where=str(path),
            remedy="Export or fetch the file again.",
        )
    if len(row) == 1:
        for other, name in _NAMES.items():
            if other != delimiter and other in row[0]:
                raise _delimited_by(path, name, delimiter, row[0])
    names = [name.strip() or f"unnamed_{i}" for i, name in enumerate(row)]
    require_width(path, len(names))
    require_names(path, names)
    require_distinct(names, f"{path}, row 1")
    return names


def _delimited_by(path: Path, name: str, delimiter: str, found: str) -> DataError:
    return DataError(
        f"expected columns delimited by {_NAMES[delimiter]}, found one column named"
        f" {found!r}: the file seems to be delimited by {name}",
        where=str(path),
        remedy="Save it with commas as .csv or with tabs as .tsv.",
    )


def _of_width(path: Path, rows: Iterator[tuple[int, list[str]]], width: int) -> Iterator[list[str]]:
    for line, row in rows:
        if len(row) != width:
            raise DataError(
                f"expected {width} values as in the header, found {len(row)}",
                where=f"{path}, row {line}",
                remedy="Quote values that hold the delimiter or line breaks.",
            )
        yield row


def _header_is_first(path: Path) -> bool:
    """Return whether the header is the first line, ended by a line feed, as `_parsed` takes it."""
    with path.open("rb") as file:
        first = file.readline()
    text = first.rstrip(b"\r\n")
    return bool(text.strip()) and text.count(b'"') % 2 == 0 and b"\r" not in text


def _quotes_are_paired(path: Path, delimiter: str) -> bool:
    """Return whether quotes open where a value begins and close where it ends.

    A parser that is fast is lenient as well: after a quote that is never closed it takes what
    follows for one long value.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        whole = np.frombuffer(data, dtype=np.uint8)
        try:
            return _paired(whole, ord(delimiter))
        finally:
            del whole  # the map cannot be closed before


def _paired(data: NDArray[np.uint8], delimiter: int) -> bool:
    ends = np.zeros(256, dtype=bool)
    ends[[ord('"'), delimiter, ord("\n"), ord("\r")]] = True
    first = 3 if data[:3].tobytes() == codecs.BOM_UTF8 else 0
    count = 0
    for start in range(0, len(data), _BLOCK):
        at = start + np.flatnonzero(data[start : start + _BLOCK] == ord('"'))
        opens = (count + np.arange(len(at))) % 2 == 0
        before = at[opens & (at > first)] - 1
        after = at[~opens & (at < len(data) - 1)] + 1
        if not (ends[data[before]].all() and ends[data[after]].all()):
            return False
        count += len(at)
    return count % 2 == 0


def _parsed(
    path: Path, delimiter: str, header: list[str], kept: list[str]
) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with path.open("rb") as file:
        file.readline()
        if file.tell() == path.stat().st_size:
            return
        reader: Any = arrow_csv.open_csv(
            file,
            read_options=arrow_csv.ReadOptions(block_size=_BLOCK, column_names=header),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=kept,
                strings_can_be_null=False,
            ),
        )
        for batch in with_progress(path, file, reader):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield frame.select(pl.when(pl.col(c) != "").then(pl.col(c)) for c in kept)
