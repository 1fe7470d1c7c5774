"""The files of an event log, checked at the head and named for DuckDB to read."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rankfield.errors import DataError, OutputError
from rankfield.foreign_files import own_paths

__all__ = ["FILE_COLUMN", "SUFFIXES", "EventFiles", "find_event_files", "quote_name", "quote_text"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""The ends of file names that are read; the text kinds with .gz after them too."""

FILE_COLUMN = "rankfield: source file"
"""The column that DuckDB adds: which part a row is from."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_JSON_LOOKED_AT = 1000
_FULL = ("No space left", "max_temp_directory_size", "disk quota")


def quote_name(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class EventFiles:
    """The parts of a log, all of one kind and with the same columns.

    kind: an end of `SUFFIXES`, without .gz.
    columns: in the order of the file.
    """

    paths: tuple[Path, ...]
    kind: str
    columns: tuple[str, ...]

    def sql(self, *, numbered: bool = False) -> str:
        """Return the table function that reads all parts; text kinds give text columns.

        With `numbered`, Parquet rows have a column `file_row_number`.
        """
        paths = "[" + ", ".join(quote_text(str(p)) for p in self.paths) + "]"
        common = f"filename = {quote_text(FILE_COLUMN)}, hive_partitioning = false"
        if self.kind == ".parquet":
            rows = ", file_row_number = true" if numbered else ""
            return f"read_parquet({paths}, {common}{rows})"
        types = ", ".join(f"{quote_text(c)}: 'VARCHAR'" for c in self.columns)
        common = f"{paths}, columns = {{{types}}}, {common}"
        if self.kind in _DELIMITERS:
            return (
                f"read_csv({common}, delim = {quote_text(_DELIMITERS[self.kind])}, header = true,"
                " quote = '\"', escape = '\"', auto_detect = false, null_padding = false)"
            )
        return f"read_json({common}, format = 'newline_delimited')"

    def fingerprint(self) -> str:
        """Return blake2b over the contents of all parts, in the order of their names."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.paths:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()

    def row_of(self, path: str, column: str, value: str) -> str:
        """Return "FILE, row N, column C" of the first `value` in a text column, for a message.

        Lines count from 1 as an editor shows them, the header being line 1.
        """
        with _opened(Path(path)) as file:
            delimited = self.kind in _DELIMITERS
            values = self._csv_values(file, column) if delimited else _json_values(file, column)
            line = next((line for line, found in values if found == value), None)
        row = f", row {line}" if line is not None else ""
        return f"{path}{row}, column {column!r}"

    def _csv_values(self, file: TextIO, column: str) -> Iterator[tuple[int, str | None]]:
        reader = csv.reader(file, delimiter=_DELIMITERS[self.kind])
        place, line = self.columns.index(column), 1
        for row in reader:
            if line > 1 and place < len(row):
                yield line, row[place]
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


_QUOTES = "Write a quote inside a quoted value twice."
_SIGNS = (
    ("unterminated quote", "a quote is opened and never closed", _QUOTES),
    ("Maximum line size", "a row of over 2 MB: a quote may never be closed", _QUOTES),
    ("not utf-8", "not UTF-8", "Save the file as UTF-8."),
)


def _json_error(path: Path, text: str) -> DataError:
    """Return the error at the first line that is no JSON; DuckDB counts lines otherwise."""
    where, problem = str(path), text.strip().splitlines()[0]
    with contextlib.suppress(OSError, EOFError), _bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    json.loads(line)
            except UnicodeDecodeError:
                return _not_utf8(path, number)
            except (json.JSONDecodeError, RecursionError) as error:
                where, problem = f"{path}, row {number}", str(error)
                break
    return DataError(
        f"not valid JSON ({problem})", where=where, remedy="Write one object a line, {…}."
    )


def _json_values(file: TextIO, column: str) -> Iterator[tuple[int, str | None]]:
    for line, text in enumerate(file, 1):
        value = json.loads(text).get(column) if text.strip() else None
        yield line, None if value is None else str(value)


def find_event_files(events: str | Path) -> EventFiles:
    """Return the log's files with their columns: one file, or all in a folder, by name.

    Raises:
        DataError: nothing there, several kinds, no header, a header that is not UTF-8, names a
            column twice, is divided by something else, or differs between parts; broken Parquet.
    """
    path = Path(events)
    if not path.exists():
        raise DataError("there is no such file or folder", where=str(path))
    inside = own_paths(path.iterdir(), path) if path.is_dir() else [path]
    paths = tuple(p for p in inside if p.is_file() and _kind(p))
    if not paths:
        raise DataError(f"expected files ending in {', '.join(SUFFIXES)}", where=str(path))
    kinds = sorted({_kind(p) for p in paths})
    if len(kinds) > 1:
        raise DataError(
            f"expected parts of one kind, found {', '.join(kinds)}",
            where=str(path),
            remedy="Name one file, or a folder with parts of one kind.",
        )
    heads = {p: _columns(p, kinds[0]) for p in paths}
    columns = heads[paths[0]]
    for part, names in heads.items():
        if names != columns and kinds[0] in _DELIMITERS:
            raise DataError(
                f"expected the columns of {paths[0].name}, {', '.join(columns)}; found"
                f" {', '.join(names)}",
                where=f"{part}, row 1",
                remedy="Give all parts the same header.",
            )
        if set(names) != set(columns) and kinds[0] == ".parquet":
            raise DataError(
                f"expected the columns of {paths[0].name}, found others: "
                f"{', '.join(sorted(set(names) ^ set(columns)))}",
                where=str(part),
                remedy="Give all parts the same columns.",
            )
    if kinds[0] in (".jsonl", ".ndjson"):
        columns = tuple(dict.fromkeys(name for names in heads.values() for name in names))
    return EventFiles(paths, kinds[0], columns)


def _kind(path: Path) -> str:
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    kind = next((s for s in SUFFIXES if plain.endswith(s)), "")
    return "" if name != plain and kind == ".parquet" else kind


def _bytes(path: Path) -> Any:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    # bytes that are not UTF-8 are kept here and refused where they are met, with their row
    with (
        _bytes(path) as file,
        io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        yield text


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _not_utf8(path: Path, row: int) -> DataError:
    return DataError("not UTF-8", where=f"{path}, row {row}", remedy="Save the file as UTF-8.")


def _columns(path: Path, kind: str) -> tuple[str, ...]:
    if kind == ".parquet":
        return _parquet_columns(path)
    try:
        with _opened(path) as file:
            if kind in _DELIMITERS:
                row: Sequence[str] = next(csv.reader(file, delimiter=_DELIMITERS[kind]), [])
                if not _is_text("".join(row)):
                    raise _not_utf8(path, 1)
                return _header(path, row, _DELIMITERS[kind])
            return _json_columns(path, file)
    except (OSError, EOFError) as error:
        raise DataError(
            f"cannot be read ({error})", where=str(path), remedy="It may be cut off."
        ) from None


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"not a whole Parquet file ({first})",
            where=str(path),
            remedy="It may be cut off: copy or export it again.",
        ) from None


def _header(path: Path, row: Sequence[str], delimiter: str) -> tuple[str, ...]:
    if not row:
        raise DataError(
            "the file is empty; expected a header row",
            where=str(path),
            remedy="Write the columns' names into the first row.",
        )
    if len(row) == 1:
        for other, divider in _NAMES.items():
            if other != delimiter and other in row[0]:
                raise DataError(
                    f"expected columns divided by {_NAMES[delimiter]}, found one column named"
                    f" {row[0]!r}: the file seems to be divided by {divider}",
                    where=f"{path}, row 1",
                    remedy="Save it with commas as .csv or with tabs as .tsv.",
                )
    names = [name.strip() or f"unnamed_{i}" for i, name in enumerate(row)]
    for name in names:
        if sum(n.lower() == name.lower() for n in names) > 1:
            raise DataError(
                f"the column {name!r} occurs more than once",
                where=f"{path}, row 1",
                remedy="Rename or remove one of them.",
            )
    return tuple(names)


def _json_columns(path: Path, file: TextIO) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for line, text in enumerate(file, 1):
        if line > _JSON_LOOKED_AT:
            break
        if not text.strip():
            continue
        if not _is_text(text):
            raise _not_utf8(path, line)
        try:
            record = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise DataError(
                f"expected a JSON object, found {text.strip()[:40]!r}",
                where=f"{path}, row {line}",
                remedy="Write one object a line, {…}.",
            )
        names |= dict.fromkeys(record)
    if not names:
        raise DataError("the file is empty", where=str(path), remedy="Write one object a line.")
    return tuple(names)
