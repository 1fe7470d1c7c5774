"""The rows of a log with a column for each role, whatever the log's own shape is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rankfield.errors import InputError
from rankfield.labels.columns import Columns
from rankfield.labels.event_files import FILE_COLUMN, EventFiles
from rankfield.labels.nested import (
    ColumnPath,
    find_path,
    json_path,
    nested_list,
    nested_value,
)
from rankfield.labels.sql import quote_name, quote_text

__all__ = ["LogRows", "log_rows"]

_ITEM = "rankfield_item"
_LOOKED_AT = 1000


@dataclass(frozen=True)
class LogRows:
    """How the rows of a log are read.

    types: the types of the roles' columns, as DuckDB names them; of nested ones VARCHAR.
    """

    files: EventFiles
    columns: Columns
    types: dict[str, str]
    chosen: dict[str, str]
    joined: str

    def sql(self, *, numbered: bool = False) -> str:
        """Return the SELECT of a column for each role, and `FILE_COLUMN`.

        Args:
            numbered: whether Parquet rows have a column `file_row_number` too.
        """
        chosen = [f"{value} AS {role}" for role, value in self.chosen.items()]
        chosen += [quote_name(FILE_COLUMN), *(["file_row_number"] if numbered else [])]
        needed = dict.fromkeys(path.column for path in _paths(self.files, self.columns).values())
        source = self.files.sql(list(needed), numbered=numbered)
        return f"SELECT {', '.join(chosen)} FROM {source}{self.joined}"


def _paths(files: EventFiles, columns: Columns) -> dict[str, ColumnPath]:
    """Return the columns of the roles, and of the page that a query's results are on."""
    paths = dict(columns.paths)
    if columns.layout and columns.layout.page and "query" in paths:
        page = find_path(columns.layout.page, files.columns)
        if page is not None:
            paths["page"] = page
    return paths


def log_rows(connection: Any, files: EventFiles, columns: Columns) -> LogRows:
    """Return how the rows are read; looks into nested columns to see which are lists.

    A column inside a list of records makes a row of each record. A list of {key, value} is looked
    up by key.

    Raises:
        DataError: a broken file.
        InputError: columns inside of two lists.
    """
    paths = _paths(files, columns)
    with files.errors():
        needed = list(dict.fromkeys(path.column for path in paths.values()))
        described = connection.execute(f"DESCRIBE SELECT * FROM {files.sql(needed)}").fetchall()
    types = {row[0]: row[1] for row in described}
    lists = _Lists(connection, files, types)
    repeated = {found for path in paths.values() if (found := lists.of_records(path)) is not None}
    if len(repeated) > 1:
        names = " and ".join(sorted(part.name for part in repeated))
        raise InputError(
            f"expected columns inside of one list at most, found {names}",
            where="columns",
            remedy="Choose others with --column ROLE=NAME.",
        )
    items = next(iter(repeated), None)
    joined = ""
    if items is not None:
        elements = nested_list(lists.json(items.column), items.keys)
        joined = f" LEFT JOIN LATERAL (SELECT unnest({elements}) AS {_ITEM}) ON true"
    chosen = {role: _value(path, lists, items, columns) for role, path in paths.items()}
    kinds = {
        role: "VARCHAR" if path.keys or path == items else types[path.column]
        for role, path in paths.items()
    }
    return LogRows(files, columns, kinds, chosen, joined)


def _value(path: ColumnPath, lists: _Lists, items: ColumnPath | None, columns: Columns) -> str:
    """Return the SQL of a role's value."""
    if items is not None and _is_inside(path, items):
        depth = len(items.keys)
        keyed = [place - depth for place in lists.keyed(path) if place >= depth]
        value = nested_value(_ITEM, path.keys[depth:], keyed)
    elif path.keys:
        value = nested_value(lists.json(path.column), path.keys, lists.keyed(path))
    else:
        return quote_name(path.column)
    for text in columns.layout.absent if columns.layout else ():
        value = f"nullif({value}, {quote_text(text)})"
    return value


def _is_inside(path: ColumnPath, items: ColumnPath) -> bool:
    depth = len(items.keys)
    return path.column == items.column and path.keys[:depth] == items.keys


class _Lists:
    """Which parts of nested columns are lists, by a look at some rows."""

    def __init__(self, connection: Any, files: EventFiles, types: dict[str, str]) -> None:
        self._connection, self._files, self._types = connection, files, types
        self._seen: dict[ColumnPath, str] = {}

    def json(self, column: str) -> str:
        """Return the SQL of a column as JSON."""
        name = quote_name(column)
        if self._types[column] in ("VARCHAR", "JSON"):
            return f"CASE WHEN json_valid({name}) THEN CAST({name} AS JSON) END"
        return f"to_json({name})"

    def of_records(self, path: ColumnPath) -> ColumnPath | None:
        """Return the outermost part of a path that is a list of records, or None."""
        parts = (ColumnPath(path.column, path.keys[:depth]) for depth in range(len(path.keys)))
        return next((part for part in parts if self._kind(part) == "records"), None)

    def keyed(self, path: ColumnPath) -> list[int]:
        """Return the places in `path.keys` of names in a list of {key, value}."""
        parts = [ColumnPath(path.column, path.keys[:depth]) for depth in range(len(path.keys))]
        return [place for place, part in enumerate(parts) if self._kind(part) == "keyed"]

    def _kind(self, path: ColumnPath) -> str:
        if path not in self._seen:
            self._seen[path] = self._look(path)
        return self._seen[path]

    def _look(self, path: ColumnPath) -> str:
        outer = ColumnPath(path.column, path.keys[:-1])
        if path.keys and self._kind(outer) != "plain":
            return "plain"  # inside a list: not looked into
        value = f"json_extract({self.json(path.column)}, {json_path(path.keys)})"
        rows = (
            f"SELECT {value} AS value FROM {self._files.sql([path.column])}"
            f" WHERE json_array_length({value}) > 0 LIMIT {_LOOKED_AT}"
        )
        keyed = "json_exists(value, '$[0].key') AND json_exists(value, '$[0].value')"
        with self._files.errors():
            found, by_key = self._connection.execute(
                f"SELECT count(*), count_if({keyed}) FROM ({rows})"
            ).fetchone()
        if not found:
            return "plain"
        return "keyed" if by_key == found else "records"
