"""The first reading of a log: every number and time is checked, and what it can carry is seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rankfield.errors import DataError
from rankfield.labels.event_files import FILE_COLUMN
from rankfield.labels.log_rows import LogRows
from rankfield.labels.sql import quote_name, quote_text
from rankfield.messages import more
from rankfield.unicode_text import NOT_BLANK

__all__ = [
    "CHECKED",
    "COUNTS",
    "EventSurvey",
    "absent",
    "normalised_text",
    "survey",
    "text",
    "value",
    "word",
]

COUNTS = {"impressions": "impression", "clicks": "click", "carts": "cart", "orders": "order"}
"""Role of a count → the event that it counts."""

_MOST = {"position": 1_000_000, **dict.fromkeys(COUNTS, 1_000_000_000)}
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970
CHECKED = {
    "position": "a whole number from 0 to 1,000,000",
    "time": "a time from 1990 to 2100: ISO 8601, or seconds, milliseconds … since 1970",
    **dict.fromkeys(COUNTS, "a whole number from 0 to 1,000,000,000"),
}
"""Role → what its values must be."""

_SEEN = re.sub(r"\\?([^\[\]^\\-])", lambda sign: f"\\x{{{ord(sign[1]):x}}}", NOT_BLANK)
"""`NOT_BLANK` without control characters, which SQL does not take."""

_MOST_WORDS = 1000
_LOOKED_AT = 100_000


@dataclass(frozen=True)
class EventSurvey:
    """What one reading of the log showed.

    rows: of the log. first_position: the smallest, or None. start, end: of the times in seconds
    since 1970, or None. timed: rows with a time; on_five, on_minute: of these, with times of a
    multiple of five seconds, of whole minutes. without_id: rows without a query or a
    document; without_query: of these, rows with a document. words: how often each word of the event
    column occurs, lower case, in rows with both; other_words: in the others. counts: the totals of
    a log of counts. applications: rows of each. spaced_ids: the share of query ids with a
    space in them, of some rows. ids, texts: how many query ids and texts some rows have, where a
    log has both.
    """

    rows: int
    first_position: int | None
    start: float | None
    end: float | None
    without_id: int
    without_query: int = 0
    timed: int = 0
    on_five: int = 0
    on_minute: int = 0
    spaced_ids: float = 0.0
    ids: int = 0
    texts: int = 0
    words: Mapping[str, int] = field(default_factory=dict)
    other_words: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    applications: Mapping[str, int] = field(default_factory=dict)


def survey(connection: Any, rows: LogRows) -> EventSurvey:
    """Read the view `log` once and check every number and time in it.

    Raises:
        DataError: a broken file or a value that cannot be, with file and row; no rows; far too many
            words in the event column.
    """
    columns = rows.columns
    for role in ("event", "application"):
        if role in columns.of:
            _check_few(connection, rows, role)
    spaced = _spaced_ids(connection, rows) if columns.query == "query_id" else 0.0
    checked = [role for role in CHECKED if role in columns.of]
    values = {role: value(role, rows.types) for role in checked}
    measures = {f"wrong_{role}": f"count_if({_wrong(role, values)})" for role in checked}
    measures |= _measures(rows, values)
    chosen = ", ".join(f"{measure} AS {name}" for name, measure in measures.items())
    with rows.files.errors():
        found = connection.execute(f"SELECT {chosen} FROM log").fetchone()
    got = dict(zip(measures, found, strict=True))
    if not got["rows"]:
        raise DataError("expected at least one row, found none", where=str(rows.files.paths[0]))
    for role in checked:
        if wrong := got.pop(f"wrong_{role}"):
            _raise_wrong(connection, rows, values, role=role, wrong=wrong)
    for name in ("words", "other_words", "applications"):
        got[name] = dict(sorted((got.get(name) or {}).items()))
    others = got["other_words"]
    both = {word: number - others.get(word, 0) for word, number in got["words"].items()}
    got["words"] = {word: number for word, number in both.items() if number}
    got["counts"] = {role: int(got.pop(role) or 0) for role in COUNTS if role in checked}
    first = got["first_position"]
    got |= {"first_position": None if first is None else int(first), "spaced_ids": spaced}
    if {"query_id", "query"} <= columns.of.keys():
        got["ids"], got["texts"] = _ids_and_texts(connection, rows)
    return EventSurvey(**got)


def _measures(rows: LogRows, values: Mapping[str, str]) -> dict[str, str]:
    """Return name → SQL of what `EventSurvey` holds, and of the totals of counts."""
    of = rows.columns.of
    position, time = values.get("position", "NULL"), values.get("time", "NULL")
    no_query, no_doc = absent(rows.columns.query), absent("doc_id")
    measures = {
        "rows": "count(*)",
        "first_position": f"min({position})",
        "start": f"min({time})",
        "end": f"max({time})",
        "without_id": f"count_if({no_query} OR {no_doc})",
    }
    if "time" in of:
        measures["timed"] = f"count({time})"
        # a division costs less than a remainder
        measures["on_five"] = f"count_if({time} / 5 = floor({time} / 5))"
        measures["on_minute"] = f"count_if({time} / 60 = floor({time} / 60))"
    measures |= {role: f"sum({values[role]})" for role in COUNTS if role in values}
    if rows.columns.long:
        measures["without_query"] = f"count_if({no_query} AND NOT {no_doc})"
        measures["words"] = f"histogram({word()})"
        measures["other_words"] = f"histogram({word()}) FILTER (WHERE {no_query} OR {no_doc})"
    if "application" in of:
        measures["applications"] = f"histogram({text('application')})"
    return measures


def _check_few(connection: Any, rows: LogRows, role: str) -> None:
    """Raise if a column of words holds a value of its own in each row, as of ids."""
    sample = f"SELECT {text(role)} AS word FROM log LIMIT {_LOOKED_AT}"
    with rows.files.errors():
        (words,) = connection.execute(f"SELECT count(DISTINCT word) FROM ({sample})").fetchone()
    if words > _MOST_WORDS:
        raise DataError(
            f"expected a word that names the {role}, found over {_MOST_WORDS:,} different values",
            where=f"{rows.files.paths[0]}, column {rows.columns.of[role]!r}",
            remedy=f"Choose another column with --column {role}=NAME.",
        )


def _spaced_ids(connection: Any, rows: LogRows) -> float:
    sample = f"SELECT {text('query_id')} AS id FROM log LIMIT {_LOOKED_AT}"
    with rows.files.errors():
        (share,) = connection.execute(
            f"SELECT avg(CAST(contains(trim(id), ' ') AS INTEGER)) FROM ({sample})"
        ).fetchone()
    return share or 0.0


def _ids_and_texts(connection: Any, rows: LogRows) -> tuple[int, int]:
    sample = f"SELECT {text('query_id')} AS id, {normalised_text()} AS spelt FROM log"
    with rows.files.errors():
        ids, texts = connection.execute(
            f"SELECT count(DISTINCT id), count(DISTINCT spelt) FROM ({sample} LIMIT {_LOOKED_AT})"
        ).fetchone()
    return int(ids), int(texts)


def text(role: str) -> str:
    """Return the SQL of a role's value as text."""
    return f"CAST({quote_name(role)} AS VARCHAR)"


def normalised_text() -> str:
    """Return the SQL of the query's text as queries are told apart: case and spaces apart."""
    return f"trim(regexp_replace(lower(nfc_normalize({text('query')})), '\\s+', ' ', 'g'))"


def absent(role: str) -> str:
    """Return the SQL of whether a value is missing, blank or only of signs that nobody sees."""
    found = text(role)
    blank = f"coalesce(NOT regexp_matches({found}, {quote_text(_SEEN)}), true)"
    # nearly all begin with a printable sign of ASCII, which costs less to see
    return f"(CASE WHEN {found} >= '!' AND {found} < chr(127) THEN false ELSE {blank} END)"


def word() -> str:
    """Return the SQL of the event's word, lower case."""
    return f"lower(trim({text('event')}))"


def value(role: str, types: Mapping[str, str]) -> str:
    """Return the SQL of a role's number, or of its time in seconds since 1970."""
    name, kind = quote_name(role), types[role]
    if role != "time":
        flag = f"TRY_CAST(TRY_CAST({name} AS BOOLEAN) AS DOUBLE)"
        if kind == "BOOLEAN":
            return f"CAST({name} AS DOUBLE)"
        number = f"TRY_CAST({name} AS DOUBLE)"
        # a click may be spelt "true" in a text; a Parquet number is a number
        return f"coalesce({number}, {flag})" if kind == "VARCHAR" else number
    moment = f"epoch(TRY_CAST({name} AS TIMESTAMPTZ))"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return moment
    number = f"TRY_CAST({name} AS DOUBLE)"
    seconds = (
        f"CASE WHEN {number} > 1e17 THEN {number} / 1e9 WHEN {number} > 1e14 THEN {number} / 1e6"
        f" WHEN {number} > 1e11 THEN {number} / 1e3 ELSE {number} END"
    )
    return f"coalesce({seconds}, {moment})" if kind == "VARCHAR" else f"({seconds})"


def _wrong(role: str, values: Mapping[str, str]) -> str:
    found = values[role]
    low, high = (_EARLIEST, _LATEST) if role == "time" else (0, _MOST[role])
    whole = "" if role == "time" else f" AND {found} = floor({found})"
    fine = f"coalesce({found} BETWEEN {low} AND {high}{whole}, false)"
    return f"({quote_name(role)} IS NOT NULL AND NOT {fine})"


def _raise_wrong(
    connection: Any, rows: LogRows, values: Mapping[str, str], *, role: str, wrong: int
) -> None:
    files, path = rows.files, rows.columns.paths[role]
    file = quote_name(FILE_COLUMN)
    # a column of that name in the log itself would be in the way
    taken = any(name.lower() == "file_row_number" for name in files.columns)
    parquet = files.kind == ".parquet" and not taken
    row = ", file_row_number" if parquet else ""
    source, found, *number = connection.execute(
        f"SELECT {file}, {text(role)}{row} FROM ({rows.sql(numbered=parquet)})"
        f" WHERE {_wrong(role, values)} ORDER BY {file}{row} LIMIT 1"
    ).fetchone()
    if number:
        where = f"{source}, row {number[0]} (counted from 0), column {path.name!r}"
    elif files.kind == ".parquet":
        where = f"{source}, column {path.name!r}"
    else:
        where = files.row_of(source, path, found)
    shown = found if len(found) <= 80 else f"{found[:80]}…"
    raise DataError(
        f"expected {CHECKED[role]}, found {shown!r}" + more(wrong - 1, "row"),
        where=where,
        remedy=f"Fix or remove the row, or choose another column with --column {role}=NAME.",
    )
