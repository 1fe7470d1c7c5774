"""One table from a CSV, TSV, JSON Lines or Parquet file; each value as text, errors with a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self, TextIO, TypeVar

import polars as pl

from rankfield.errors import DataError
from rankfield.io.columns import MAX_CELLS, require_names, require_width
from rankfield.io.parquet_size import require_bounded
from rankfield.io.text import LONGEST, open_text, reading, short_lines, table_suffix
from rankfield.io.text_values import MARK
from rankfield.parsing import MAX_DEPTH, require_shallow
from rankfield.paths import require_regular
from rankfield.progress import progress
from rankfield.unicode_text import refuse_halves

T = TypeVar("T")

__all__ = [
    "DELIMITERS",
    "LINE",
    "SUFFIXES",
    "TextTable",
    "is_table",
    "line_of",
    "read_header",
    "read_table",
    "require_rows",
    "require_table",
    "text_batches",
]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""The file names that `read_table` knows, by their ends; of texts also with .gz behind."""

_CHUNK = 100_000
_CHUNK_SIZE = 1 << 26
_NESTED = (dict, list)
LINE = "\0line"
"""The column of `text_batches` with the line at which a row begins."""
DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""What divides the columns of a text table, by the end of its file's name."""
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}


@dataclass(frozen=True)
class TextTable:
    """A table and where its rows stand in its file.

    frame: strings, null where the file has nothing; from Parquet the columns keep their types.
    lines: for each row its line in the file, counted from 1 as an editor shows it (the header is
        line 1; a value with line breaks counts where its row begins); None for Parquet.
    """

    path: Path
    frame: pl.DataFrame
    lines: pl.Series | None

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return self.frame.columns

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types."""
        return self.frame.schema

    def column(self, name: str) -> pl.Series:
        """Return a column."""
        return self.frame[name]

    def each_column(self) -> Iterator[pl.Series]:
        """Yield the columns."""
        yield from self.frame

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read in a stream."""
        return self.frame.lazy()

    def rename(self, names: Mapping[str, str]) -> Self:
        """Return the table with other names: old → new."""
        return replace(self, frame=self.frame.rename(names))

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""
        number = f"{row} (counted from 0)" if self.lines is None else str(self.lines[row])
        return f"{self.path}, row {number}" + (f", column {column!r}" if column else "")


def read_table(path: Path, *, delimiter: str | None = None, marks: bool = False) -> TextTable:
    """Read a table by the end of its name: .csv, .tsv, .jsonl, .ndjson or .parquet.

    All but Parquet may be compressed with gzip, and end in .gz then. `delimiter` is that of a .csv
    or .tsv file that is not what its name says. With `marks`, lists and objects of JSON
    Lines have `text_values.MARK` before their JSON text.

    CSV and TSV are UTF-8 with or without a byte order mark, with a header, quoted with '"'.
    JSON Lines holds one object a line; numbers keep their spelling, nested values become JSON text.

    Raises:
        DataError: no such file, no rows, or the file is broken; says at which row.
    """
    require_table(path)
    if table_suffix(path) == ".parquet":
        with reading(path):
            require_bounded(path)
            table = TextTable(path, pl.read_parquet(path, glob=False), None)
        require_width(path, table.frame.width)
        require_names(path, table.frame.columns)
    else:
        frames = list(text_batches(path, delimiter=delimiter, marks=marks))
        frame = pl.concat(frames, how="diagonal") if frames else pl.DataFrame({LINE: []})
        table = TextTable(path, frame.drop(LINE), frame[LINE])
    # without columns, as of {} in JSON Lines, there are no rows that could be named
    require_rows(path, table.frame.height if table.frame.width else 0)
    return table


def require_rows(path: Path, height: int) -> None:
    """Raise `DataError` if a file has no rows."""
    if not height:
        raise DataError(
            "expected at least one row, found none",
            where=str(path),
            remedy="Export or fetch the file again, or remove it.",
        )


def is_table(path: Path, name: str) -> bool:
    """Return whether a file is named `name`, in any case, with an end that `read_table` knows."""
    return table_suffix(path) in SUFFIXES and path.name.lower().partition(".")[0] == name


def require_table(path: Path) -> None:
    """Look whether there is a file, and its name one that `read_table` knows.

    Raises:
        DataError: it is not so.
    """
    if not path.is_file():
        raise DataError(
            "there is no such file", where=str(path), remedy="Look at the spelling of its name."
        )
    require_regular(path, DataError)
    if table_suffix(path) not in SUFFIXES:
        raise DataError(
            f"expected a file ending in {', '.join(SUFFIXES)}",
            where=str(path),
            remedy="Save it as one of these.",
        )


def text_batches(
    path: Path, *, delimiter: str | None = None, marks: bool = False
) -> Iterator[pl.DataFrame]:
    """Yield a text file's rows as `read_table` reads them, with their lines in the column `LINE`.

    `delimiter` divides the columns of a text table; that of `DELIMITERS` if None. `marks` as there.

    Raises:
        DataError: the file is broken; says at which row.
    """
    usual = DELIMITERS.get(table_suffix(path))
    delimiter = (delimiter or usual) if usual else None
    with reading(path), open_text(path) as (file, raw):
        chunks = (
            _csv(path, file, delimiter)
            if delimiter
            else _json_lines(path, file, MARK if marks else "")
        )
        yield from _shown(path, raw, chunks)


def line_of(path: Path, row: int) -> int:
    """Return the line of a text file, counted from 1, at which a row (from 0) begins."""
    delimiter = DELIMITERS.get(table_suffix(path))
    with open_text(path) as (file, _):
        if delimiter:
            reader = _csv_reader(path, file, delimiter)
            lines = (line for line, _ in islice(_csv_rows(path, reader), 1, None))
        else:
            lines = (line for line, text in enumerate(file, 1) if text.strip())
        return next(islice(lines, row, None))


def read_header(path: Path) -> list[str]:
    """Return the names of a CSV or TSV file's columns, without blanks around them.

    Raises:
        DataError: the file is empty, not UTF-8, or delimited by something else, or a name occurs
            twice.
    """
    delimiter = DELIMITERS[table_suffix(path)]
    with reading(path), open_text(path) as (file, _):
        first = file.readline(LONGEST)
        for other, divider in _NAMES.items():
            if f'"{other}"' in first and f'"{delimiter}"' not in first:
                raise _divided_by(path, divider, delimiter, first.strip())
        file.seek(0)
        rows = _csv_rows(path, _csv_reader(path, file, delimiter))
        return _header(path, next(rows, (1, []))[1], delimiter)


def _shown(path: Path, file: BinaryIO, chunks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Pass the chunks on, and show how much of the file is read."""
    with progress(f"reading {path.name}", path.stat().st_size >> 20, unit="MB") as advance:
        read = 0
        for chunk in chunks:
            now = file.tell() >> 20
            advance(now - read)
            read = now
            yield chunk


def _csv(path: Path, file: TextIO, delimiter: str) -> Iterator[pl.DataFrame]:
    """Yield the rows in chunks, with their line numbers in the column `LINE`."""
    rows = _csv_rows(path, _csv_reader(path, file, delimiter))
    header = _header(path, next(rows, (1, []))[1], delimiter)
    checked = _of_width(path, rows, len(header))
    most = max(min(_CHUNK, MAX_CELLS // len(header)), 1)
    for chunk in _chunks(checked, most, lambda row: sum(map(len, row[1]))):
        columns = zip(*(row for _, row in chunk), strict=True)
        named = {
            name: pl.Series(name, values, dtype=pl.String).replace("", None)
            for name, values in zip(header, columns, strict=True)
        }
        yield pl.DataFrame({LINE: pl.Series([line for line, _ in chunk]), **named})


def _csv_reader(path: Path, file: TextIO, delimiter: str) -> Any:
    csv.field_size_limit(LONGEST)
    return csv.reader(short_lines(path, file), delimiter=delimiter, strict=True)


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


def _csv_rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield (line where it begins, values) of each row that is not blank."""
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
        for other, divider in _NAMES.items():
            if other != delimiter and other in row[0]:
                raise _divided_by(path, divider, delimiter, row[0])
    names = [name.strip() or f"unnamed_{i}" for i, name in enumerate(row)]
    require_width(path, len(names))
    require_names(path, names)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(
                f"the column {name!r} occurs more than once",
                where=f"{path}, row 1",
                remedy="Rename or remove one of them.",
            )
        seen.add(name)
    return names


def _divided_by(path: Path, divider: str, delimiter: str, found: str) -> DataError:
    return DataError(
        f"expected columns delimited by {_NAMES[delimiter]}, found one column named"
        f" {found!r}: the file seems to be delimited by {divider}",
        where=str(path),
        remedy="Save it with commas as .csv or with tabs as .tsv.",
    )


def _of_width(
    path: Path, rows: Iterator[tuple[int, list[str]]], width: int
) -> Iterator[tuple[int, list[str]]]:
    for line, row in rows:
        if len(row) != width:
            raise DataError(
                f"expected {width} values as in the header, found {len(row)}",
                where=f"{path}, row {line}",
                remedy="Quote values that hold the delimiter or line breaks.",
            )
        yield line, row


def _json_lines(path: Path, file: TextIO, mark: str) -> Iterator[pl.DataFrame]:
    for chunk in _json_chunks(path, file):
        names = dict.fromkeys(name for _, record in chunk for name in record)
        columns = {
            name: pl.Series(
                [_as_text(record.get(name), mark) for _, record in chunk], dtype=pl.String
            )
            for name in names
        }
        yield pl.DataFrame({LINE: pl.Series([line for line, _ in chunk]), **columns})


def _json_chunks(path: Path, file: TextIO) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Yield numbered records, so many at a time that their table stays small."""
    chunk: list[tuple[int, dict[str, Any]]] = []
    names: set[str] = set()
    total = 0
    for line, record, size in _json_objects(path, file):
        require_width(path, len(record))
        require_names(path, record.keys() - names)
        names.update(record)
        chunk.append((line, record))
        total += size
        full = len(chunk) >= _CHUNK or len(chunk) * len(names) >= MAX_CELLS
        if full or total >= _CHUNK_SIZE:
            yield chunk
            chunk, names, total = [], set(), 0
    if chunk:
        yield chunk


def _json_objects(path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield line, record and length of each."""
    # numbers stay as they are spelt, so that ids are kept to the letter
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_constant)
    for line, text in enumerate(short_lines(path, file), 1):
        if not text.strip():
            continue
        try:
            record = decoder.decode(text.strip())
            if text.count("[") + text.count("{") > MAX_DEPTH:
                require_shallow(record)
            if isinstance(record, dict) and any(isinstance(v, _NESTED) for v in record.values()):
                # within these, numbers are numbers
                record |= {k: v for k, v in json.loads(text).items() if isinstance(v, _NESTED)}
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"not valid JSON ({error})",
                where=f"{path}, row {line}",
                remedy="Fix the line, or fetch the file again if it is cut off.",
            ) from None
        refuse_halves(text, record, where=f"{path}, row {line}", kind=DataError)
        if not isinstance(record, dict):
            raise DataError(
                f"expected a JSON object, found {text.strip()[:40]!r}",
                where=f"{path}, row {line}",
                remedy="Write one object a line, {…}.",
            )
        yield line, record, len(text)


def _constant(name: str) -> str | None:
    """Return nothing for NaN, which is how others write that there is no value."""
    return None if name == "NaN" else name


def _as_text(value: Any, mark: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    nested = isinstance(value, dict | list)
    return (mark if nested else "") + json.dumps(value, ensure_ascii=False)
