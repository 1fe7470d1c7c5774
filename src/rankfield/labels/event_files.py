"""The files of an event log, checked at the head and named for DuckDB to read."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from rankfield.errors import DataError, OutputError
from rankfield.foreign_files import own_paths
from rankfield.labels.event_heads import (
    BULK_ACTIONS,
    DELIMITERS,
    LONGEST_LINE,
    SUFFIXES,
    csv_values_up_to,
    lines,
    not_utf8,
    open_bytes,
    open_text,
    read_head,
    table_kind,
)
from rankfield.labels.layouts import recognise
from rankfield.labels.nested import ColumnPath, values_inside
from rankfield.labels.sql import quote_name, quote_path, quote_text
from rankfield.paths import inside, require_regular
from rankfield.unicode_text import HALF, half_surrogate

__all__ = ["FILE_COLUMN", "EventFiles", "find_event_files"]

FILE_COLUMN = "rankfield: source file"
"""The column that DuckDB adds: which part a row is from."""

_FULL = ("No space left", "max_temp_directory_size", "disk quota")
_MOST_NAMES = 10_000


@dataclass(frozen=True)
class EventFiles:
    """The parts of a log, all of one kind.

    kind: an end of `SUFFIXES`, without .gz.
    columns: of all parts, in the order of the files.
    headers: the columns of each part.
    bulk: whether it is a bulk request, whose lines with actions are no events.
    """

    paths: tuple[Path, ...]
    kind: str
    columns: tuple[str, ...]
    headers: tuple[tuple[str, ...], ...]
    bulk: bool = False

    @property
    def is_json(self) -> bool:
        """Whether each row is a JSON object."""
        return self.kind in (".jsonl", ".ndjson")

    def sql(self, columns: Sequence[str] | None = None, *, numbered: bool = False) -> str:
        """Return the SQL that reads all parts, to stand after FROM; text kinds give text columns.

        Args:
            columns: the columns that are needed; others may be left out. None: all.
            numbered: whether Parquet rows have a column `file_row_number`.
        """
        if self.is_json:
            return self._json_sql(self.columns if columns is None else columns)
        alike: dict[tuple[str, ...], list[Path]] = {}
        for path, header in zip(self.paths, self.headers, strict=True):
            key = header if self.kind in DELIMITERS else tuple(sorted(header))
            alike.setdefault(key, []).append(path)
        reads = [self._table_sql(paths, header, numbered) for header, paths in alike.items()]
        if len(reads) == 1:
            return reads[0]
        return f"({' UNION ALL BY NAME '.join(f'SELECT * FROM {read}' for read in reads)})"

    def _table_sql(self, paths: Sequence[Path], header: Sequence[str], numbered: bool) -> str:
        """Return the SQL that reads tables of one header."""
        if self.kind == ".parquet":
            rows = ", file_row_number = true" if numbered else ""
            return f"read_parquet({_list(paths)}, {_COMMON}{rows})"
        types = ", ".join(f"{quote_text(c)}: 'VARCHAR'" for c in header)
        return (
            f"read_csv({_list(paths)}, columns = {{{types}}}, {_COMMON},"
            f" delim = {quote_text(DELIMITERS[self.kind])}, header = true,"
            " quote = '\"', escape = '\"', auto_detect = false, null_padding = false)"
        )

    def _json_sql(self, columns: Sequence[str]) -> str:
        actions = BULK_ACTIONS if self.bulk else ()
        wanted = dict.fromkeys((*columns, *actions))
        types = ", ".join(f"{quote_text(c)}: 'VARCHAR'" for c in wanted)
        read = (
            f"read_json({_list(self.paths)}, columns = {{{types}}}, {_COMMON},"
            " format = 'newline_delimited')"
        )
        if not actions:
            return read
        events = " AND ".join(f"{quote_name(a)} IS NULL" for a in actions)
        return f"(SELECT * FROM {read} WHERE {events})"

    def with_all_columns(self, connection: Any) -> EventFiles:
        """Return the log with the columns of all its rows: JSON may name some late.

        Raises:
            DataError: a broken file, or more than 10,000 names.
        """
        if not self.is_json:
            return self
        read = f"read_ndjson_objects({_list(self.paths)})"
        names = "SELECT DISTINCT unnest(json_keys(json)) AS name"
        with self.errors():
            rows = connection.execute(
                f"SELECT name FROM ({names} FROM {read}) LIMIT {_MOST_NAMES + 1}"
            ).fetchall()
        if len(rows) > _MOST_NAMES:
            raise DataError(
                f"the rows have more than {_MOST_NAMES:,} names",
                where=str(self.paths[0]),
                remedy="Write what differs from row to row as a value, not as a name.",
            )
        actions = BULK_ACTIONS if self.bulk else ()
        late = sorted({name for (name,) in rows} - {*self.columns, *actions})
        return replace(self, columns=(*self.columns, *late))

    def fingerprint(self) -> str:
        """Return blake2b over the contents of all parts, in the order of their names."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.paths:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()

    def row_of(self, path: str, column: ColumnPath, value: str) -> str:
        """Return "FILE, row N, column C" of the first `value` in a text column, for a message.

        Lines count from 1 as an editor shows them, the header being line 1.
        """
        line = None
        # the file has been read already: whatever is odd in it does not hide the real fault
        with (
            contextlib.suppress(OSError, EOFError, csv.Error, DataError),
            csv_values_up_to(LONGEST_LINE),
            open_text(Path(path)) as file,
        ):
            values = (
                self._csv_values(file, Path(path), column)
                if not self.is_json
                else _json_values(file, Path(path), column)
            )
            line = next((line for line, found in values if found == value), None)
        row = f", row {line}" if line is not None else ""
        return f"{path}{row}, column {column.name!r}"

    def _csv_values(
        self, file: TextIO, path: Path, column: ColumnPath
    ) -> Iterator[tuple[int, str]]:
        reader = csv.reader(file, delimiter=DELIMITERS[self.kind])
        header = self.headers[self.paths.index(path)] if path in self.paths else self.columns
        if column.column not in header:
            return
        place, line = header.index(column.column), 1
        for row in reader:
            if line > 1 and place < len(row):
                for value in values_inside(row[place], column.keys):
                    yield line, value
            line = reader.line_num + 1

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what DuckDB says of a broken file into a `DataError` with file, row and remedy."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            text = str(error)
            if any(sign in text for sign in _FULL):
                raise OutputError("the disk is full", remedy="Free some space.") from error
            if isinstance(error, duckdb.OutOfMemoryException):
                raise OutputError(
                    "the memory allowed is too small", remedy="Give more with --memory."
                ) from error
            raise self._explained(text) from error

    def _explained(self, text: str) -> DataError:
        line = re.search(r"on Line: (\d+)", text)
        named = re.search(r"file = (.*)|[Ff]ile [\"']([^\"']+)[\"']", text)
        path = next((g for g in named.groups() if g), "") if named else str(self.paths[0])
        where = f"{path.strip()}, row {line[1]}" if line else path.strip()
        if "JSON" in text:
            return _json_error(Path(path.strip()), text)
        counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
        if counts:
            return DataError(
                f"expected {counts[1]} values as in the header, found {counts[2]}",
                where=where,
                remedy="Quote values that hold the delimiter or line breaks.",
            )
        for sign, problem, remedy in _SIGNS:
            if sign in text:
                return DataError(problem, where=where, remedy=remedy)
        first = text.strip().splitlines()[0]
        return DataError(
            f"cannot be read ({first})", where=where, remedy="It may be cut off or damaged."
        )


def _list(paths: Sequence[Path]) -> str:
    return "[" + ", ".join(map(quote_path, paths)) + "]"


_COMMON = f"filename = {quote_text(FILE_COLUMN)}, hive_partitioning = false"
_QUOTES = "Write a quote inside a quoted value twice."
_SIGNS = (
    ("unterminated quote", "a quote is opened and never closed", _QUOTES),
    ("Maximum line size", "a row of over 2 MB: a quote may never be closed", _QUOTES),
    ("not utf-8", "not UTF-8", "Save the file as UTF-8."),
)


def _json_error(path: Path, text: str) -> DataError:
    """Return the error at the first line that is no JSON; DuckDB counts lines otherwise."""
    where, problem = str(path), text.strip().splitlines()[0]
    with contextlib.suppress(OSError, EOFError), open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                fault = _fault(line)
            except UnicodeDecodeError:
                return not_utf8(path, number)
            if fault:
                where, problem = f"{path}, row {number}", fault
                break
    return DataError(
        f"not valid JSON ({problem})", where=where, remedy="Write one object a line, {…}."
    )


def _fault(line: bytes) -> str:
    """Return what is wrong with a line that should be a JSON object, or "".

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    if not line.strip():
        return ""
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            return "expected an object"
        place = half_surrogate(record)
        return "" if place is None else f"{place}: {HALF}"
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        return str(error)


def _json_values(file: TextIO, path: Path, column: ColumnPath) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(lines(file, path), 1):
        with contextlib.suppress(ValueError, RecursionError):
            # numbers as they are written: the one that is looked for may be absurd
            record = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
            if isinstance(record, dict):
                for value in values_inside(record.get(column.column), column.keys):
                    yield line, value


def find_event_files(events: str | Path) -> EventFiles:
    """Return the log's files with their columns: one file, or all in a folder, by name.

    Parts have the same columns, but in JSON Lines, and in a standard's log that keeps queries in
    tables of their own (`Layout.query_rows`).

    Raises:
        DataError: nothing there, several kinds, no header, a header that is not UTF-8, names a
            column twice, has another delimiter, or differs between parts; broken Parquet; a pipe,
            socket or device; a link that leads out of the folder.
    """
    path = Path(events)
    if not path.exists():
        raise DataError("there is no such file or folder", where=str(path))
    paths = _parts(path)
    if not paths:
        raise DataError(f"expected files ending in {', '.join(SUFFIXES)}", where=str(path))
    kinds = sorted({table_kind(p) for p in paths})
    if len(kinds) > 1:
        raise DataError(
            f"expected parts of one kind, found {', '.join(kinds)}",
            where=str(path),
            remedy="Name one file, or a folder with parts of one kind.",
        )
    heads = {p: read_head(p, kinds[0]) for p in paths}
    headers = tuple(head.columns for head in heads.values())
    columns = tuple(dict.fromkeys(name for header in headers for name in header))
    layout = recognise(columns)
    if kinds[0] not in (".jsonl", ".ndjson") and not (layout and layout.query_rows):
        for part, header in zip(paths, headers, strict=True):
            _check_alike(part, header, paths[0], headers[0], kinds[0])
    bulk = any(head.bulk for head in heads.values())
    return EventFiles(paths, kinds[0], columns, headers, bulk)


def _parts(path: Path) -> tuple[Path, ...]:
    """Return the file itself, or the parts in a folder in order."""
    if not path.is_dir():
        require_regular(path, DataError)
        return (path,) if table_kind(path) else ()
    paths = tuple(p for p in own_paths(path.iterdir(), path) if p.is_file() and table_kind(p))
    for part in paths:
        if inside(path, part.name) is None:
            raise DataError(
                "a link that leads out of the folder",
                where=str(part),
                remedy="Put the file itself there, or name it in place of the folder.",
            )
    return paths


def _check_alike(
    part: Path, names: Sequence[str], first: Path, columns: Sequence[str], kind: str
) -> None:
    if names != columns and kind in DELIMITERS:
        raise DataError(
            f"expected the columns of {first.name}, {', '.join(columns)}; found {', '.join(names)}",
            where=f"{part}, row 1",
            remedy="Give all parts the same header.",
        )
    if set(names) != set(columns) and kind == ".parquet":
        raise DataError(
            f"expected the columns of {first.name}, found others: "
            f"{', '.join(sorted(set(names) ^ set(columns)))}",
            where=str(part),
            remedy="Give all parts the same columns.",
        )
