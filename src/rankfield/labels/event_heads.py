"""The head of a log's file: what it is, its columns, and whether it is a bulk request."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rankfield.errors import DataError
from rankfield.expansion import require_gzip_expansion
from rankfield.messages import first_line

__all__ = [
    "BULK_ACTIONS",
    "DELIMITERS",
    "LONGEST_LINE",
    "SUFFIXES",
    "Head",
    "csv_values_up_to",
    "lines",
    "not_utf8",
    "open_bytes",
    "open_text",
    "read_head",
    "table_kind",
]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""The ends of file names that are read; the text kinds with .gz after them too."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
BULK_ACTIONS = ("index", "create")
"""Keys of the lines of a bulk request of Elasticsearch or OpenSearch that say what comes next."""

LONGEST_LINE = 1 << 24
"""Characters: DuckDB refuses longer JSON objects too."""

_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_LOOKED_AT = 1000
_MOST_COLUMNS = 10_000
_LONGEST_NAME = 1 << 17
"""Characters of a column's name: a header with a longer one has a quote that never closes."""


@dataclass(frozen=True)
class Head:
    """The columns of a file, and whether lines with actions of a bulk request are among its own."""

    columns: tuple[str, ...]
    bulk: bool = False


def table_kind(path: Path) -> str:
    """Return the end of `SUFFIXES` that a file has, without .gz, or ""."""
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    kind = next((s for s in SUFFIXES if plain.endswith(s)), "")
    return "" if name != plain and kind == ".parquet" else kind


def open_bytes(path: Path) -> Any:
    """Open a file for reading bytes, unpacked."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a file for reading text, unpacked; bytes that are not UTF-8 become half surrogates."""
    with (
        open_bytes(path) as file,
        io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        yield text


def lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file.

    Raises:
        DataError: one is longer than `LONGEST_LINE`.
    """
    number = 0
    while text := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(text) > LONGEST_LINE:
            raise DataError(
                f"a line of over {LONGEST_LINE:,} characters",
                where=f"{path}, row {number}",
                remedy="Write one event a line.",
            )
        yield text


def not_utf8(path: Path, row: int) -> DataError:
    """Return the error of a row that is not UTF-8."""
    return DataError("not UTF-8", where=f"{path}, row {row}", remedy="Save the file as UTF-8.")


def read_head(path: Path, kind: str) -> Head:
    """Return the columns of a file of the kind `table_kind`; of JSON, those of the first rows.

    Raises:
        DataError: no header, one that is not UTF-8, names a column twice or has another delimiter;
            rows that are no JSON objects; broken Parquet; too many columns.
    """
    if kind == ".parquet":
        return Head(_few(_parquet_columns(path), path))
    try:
        if path.name.lower().endswith(".gz"):
            require_gzip_expansion(path)
        with open_text(path) as file:
            if kind in DELIMITERS:
                return Head(_few(_delimited_columns(file, path, DELIMITERS[kind]), path))
            head = _json_head(path, file)
            return Head(_few(head.columns, path), head.bulk)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"cannot be read ({error})", where=str(path), remedy="It may be cut off."
        ) from None


def _few(columns: tuple[str, ...], path: Path) -> tuple[str, ...]:
    if len(columns) > _MOST_COLUMNS:
        raise DataError(
            f"expected {_MOST_COLUMNS:,} columns at most, found more",
            where=str(path),
            remedy="Keep the columns that events need.",
        )
    return columns


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError) as error:  # the last: a name not in UTF-8
        raise DataError(
            f"not a whole Parquet file ({first_line(error)})",
            where=str(path),
            remedy="It may be cut off: copy or export it again.",
        ) from None


@contextmanager
def csv_values_up_to(characters: int) -> Iterator[None]:
    """Let the csv module, whose limit is one for the process, read values of so many characters."""
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimited_columns(file: TextIO, path: Path, delimiter: str) -> tuple[str, ...]:
    try:
        with csv_values_up_to(_LONGEST_NAME):
            row: Sequence[str] = next(csv.reader(lines(file, path), delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(
            f"the header cannot be read ({error})",
            where=f"{path}, row 1",
            remedy="Write the columns' names into the first row; close every quote.",
        ) from None
    if not _is_text("".join(row)):
        raise not_utf8(path, 1)
    _check_header(path, row, delimiter)
    names = [name.strip() or f"unnamed_{i}" for i, name in enumerate(row)]
    often = Counter(name.lower() for name in names)
    twice = next((name for name in names if often[name.lower()] > 1), None)
    if twice is not None:
        raise DataError(
            f"the column {twice!r} occurs more than once",
            where=f"{path}, row 1",
            remedy="Rename or remove one of them.",
        )
    return tuple(names)


def _check_header(path: Path, row: Sequence[str], delimiter: str) -> None:
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
                    f"expected columns delimited by {_NAMES[delimiter]}, found one column named"
                    f" {row[0]!r}: the file seems to be delimited by {divider}",
                    where=f"{path}, row 1",
                    remedy="Save it with commas as .csv or with tabs as .tsv.",
                )


def _json_head(path: Path, file: TextIO) -> Head:
    names: dict[str, None] = {}
    bulk = None
    for number, text in enumerate(lines(file, path), 1):
        if number > _LOOKED_AT:
            break
        if not text.strip():
            continue
        record = _record(path, number, text)
        if bulk is None:
            bulk = _is_action(record)
        if not (bulk and _is_action(record)):
            names |= dict.fromkeys(record)
    if bulk is None:
        raise DataError("the file is empty", where=str(path), remedy="Write one object a line.")
    return Head(tuple(names), bulk)


def _record(path: Path, number: int, text: str) -> dict[str, Any]:
    if not _is_text(text):
        raise not_utf8(path, number)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not all(map(_is_text, record)):
        raise DataError(
            f"expected a JSON object, found {text.strip()[:40]!r}",
            where=f"{path}, row {number}",
            remedy="Write one object a line, {…}.",
        )
    return record


def _is_action(record: dict[str, Any]) -> bool:
    """Whether a line of a bulk request says what becomes of the next, as {"index": {…}}."""
    return len(record) == 1 and any(isinstance(record.get(a), dict) for a in BULK_ACTIONS)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
