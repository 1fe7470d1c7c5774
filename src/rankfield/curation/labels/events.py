"""An event log as one SQL view of plain columns, every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rankfield.curation.labels.columns import Columns
from rankfield.curation.labels.event_files import FILE_COLUMN, EventFiles, quote_name, quote_text
from rankfield.curation.labels.filters import EventFilters
from rankfield.errors import DataError

__all__ = ["EventSurvey", "create_events_view", "survey"]

_COUNTS = {"impressions": "impression", "clicks": "click", "carts": "cart", "orders": "order"}
_MOST = {"position": 1_000_000, **dict.fromkeys(_COUNTS, 1_000_000_000)}
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970
_EXPECTED = {
    "position": "a whole number from 0 to 1,000,000",
    "time": "a time from 1990 to 2100: ISO 8601, or seconds, milliseconds … since 1970",
    **dict.fromkeys(_COUNTS, "a whole number from 0 to 1,000,000,000"),
}


@dataclass(frozen=True)
class EventSurvey:
    """What one reading of the log showed.

    rows: of the log. first_position: the smallest, or None. start, end: of the times in seconds
    since 1970, or None. words: how often each word of the event column occurs, lower case.
    without_id: rows without a query or a document. counts: the totals of a log of counts.
    """

    rows: int
    first_position: int | None
    start: float | None
    end: float | None
    without_id: int
    words: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def survey(connection: Any, files: EventFiles, columns: Columns) -> EventSurvey:
    """Read the whole log once and check every number and time in it.

    Raises:
        DataError: a broken file or a value that cannot be, with file and row; no rows.
    """
    types = _types(connection, files)
    checked = [role for role in _EXPECTED if role in columns.of]
    values = {role: _value(role, columns.of[role], types) for role in checked}
    measures = ["count(*)", *(f"count_if({_wrong(r, columns, values)})" for r in checked)]
    position, time = values.get("position", "NULL"), values.get("time", "NULL")
    measures += [f"min({position})", f"min({time})", f"max({time})"]
    measures.append(f"count_if({_absent(columns.query)} OR {_absent(columns.of['doc_id'])})")
    counted = [role for role in checked if role in _COUNTS]
    measures += [f"sum({values[role]})" for role in counted]
    if columns.long:
        measures.append(f"histogram(lower(trim({_text(columns.of['event'])})))")
    with files.errors():
        row = connection.execute(f"SELECT {', '.join(measures)} FROM {files.sql()}").fetchone()
    if not row[0]:
        raise DataError("expected at least one row, found none", where=str(files.paths[0]))
    for role, wrong in zip(checked, row[1:], strict=False):
        if wrong:
            _raise_wrong(connection, files, columns, values, role=role, wrong=wrong)
    first, start, end, without, *rest = row[1 + len(checked) :]
    return EventSurvey(
        rows=row[0],
        first_position=None if first is None else int(first),
        start=start,
        end=end,
        without_id=without,
        counts={role: int(total or 0) for role, total in zip(counted, rest, strict=False)},
        words=dict(sorted((rest[-1] or {}).items())) if columns.long else {},
    )


def create_events_view(
    connection: Any,
    files: EventFiles,
    columns: Columns,
    *,
    found: EventSurvey,
    words: Mapping[str, str],
    filters: EventFilters,
) -> None:
    """Create the view `events` of the rows that have ids, a known event and a place in the list.

    Its columns: query and doc (text), position (from 1; 0 where unknown), time (seconds since
    1970), session (a hash, or null), robot, and the counts impressions, clicks, carts, orders.

    Args:
        words: word of the event column, lower case → event or "ignore".
    """
    types = _types(connection, files)
    of = columns.of
    values = {role: _value(role, of[role], types) for role in _EXPECTED if role in of}
    shift = 1 if found.first_position == 0 else 0
    position = f"CAST({values['position']} AS INTEGER) + {shift}" if "position" in of else "1"
    agent = f"lower({_text(of['user_agent'])})" if "user_agent" in of else "''"
    robots = quote_text(filters.bot_agents)
    robot = f"coalesce(regexp_matches({agent}, {robots}), false)" if filters.bot_agents else "false"
    counts = ", ".join(f"{_count(c, columns, values, words)} AS {c}" for c in _COUNTS)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW events AS SELECT {_query(columns)} AS query,"
        f" {_text(of['doc_id'])} AS doc, coalesce({position}, 0) AS position,"
        f" {values.get('time', 'NULL')} AS time, {_session(columns, values)} AS session,"
        f" {robot} AS robot, {counts} FROM {files.sql()}"
        f" WHERE NOT ({_absent(columns.query)} OR {_absent(of['doc_id'])})"
        f" AND coalesce({position}, 0) <= {filters.max_position} AND {_known(columns, words)}"
    )


def _types(connection: Any, files: EventFiles) -> dict[str, str]:
    with files.errors():
        rows = connection.execute(f"DESCRIBE SELECT * FROM {files.sql()}").fetchall()
    return {row[0]: row[1] for row in rows}


def _text(column: str) -> str:
    return f"CAST({quote_name(column)} AS VARCHAR)"


def _absent(column: str) -> str:
    return f"(coalesce({_text(column)}, '') = '')"


def _value(role: str, column: str, types: Mapping[str, str]) -> str:
    """Return the SQL of a column's number, or of its time in seconds since 1970."""
    name, kind = quote_name(column), types[column]
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


def _wrong(role: str, columns: Columns, values: Mapping[str, str]) -> str:
    value = values[role]
    low, high = (_EARLIEST, _LATEST) if role == "time" else (0, _MOST[role])
    whole = "" if role == "time" else f" AND {value} = floor({value})"
    fine = f"coalesce({value} BETWEEN {low} AND {high}{whole}, false)"
    return f"({quote_name(columns.of[role])} IS NOT NULL AND NOT {fine})"


def _raise_wrong(
    connection: Any,
    files: EventFiles,
    columns: Columns,
    values: Mapping[str, str],
    *,
    role: str,
    wrong: int,
) -> None:
    column = columns.of[role]
    file = quote_name(FILE_COLUMN)
    # a column of that name in the log itself would be in the way
    taken = any(name.lower() == "file_row_number" for name in files.columns)
    parquet = files.kind == ".parquet" and not taken
    row = ", file_row_number" if parquet else ""
    path, value, *number = connection.execute(
        f"SELECT {file}, {_text(column)}{row} FROM {files.sql(numbered=parquet)}"
        f" WHERE {_wrong(role, columns, values)} ORDER BY {file}{row} LIMIT 1"
    ).fetchone()
    if number:
        where = f"{path}, row {number[0]} (counted from 0), column {column!r}"
    elif taken and files.kind == ".parquet":
        where = f"{path}, column {column!r}"
    else:
        where = files.row_of(path, column, value)
    more = f" (and {wrong - 1:,} more rows)" if wrong > 1 else ""
    raise DataError(
        f"expected {_EXPECTED[role]}, found {value!r}{more}",
        where=where,
        remedy=f"Mend or remove the row, or choose another column with --column {role}=NAME.",
    )


def _query(columns: Columns) -> str:
    if "query_id" in columns.of:
        return _text(columns.of["query_id"])
    # one query however it is spelt: case and spaces apart
    text = f"lower(nfc_normalize({_text(columns.of['query'])}))"
    return f"trim(regexp_replace({text}, '\\s+', ' ', 'g'))"


def _session(columns: Columns, values: Mapping[str, str]) -> str:
    if columns.session is None:
        return "CAST(NULL AS UBIGINT)"
    name = _text(columns.session)
    if "session_id" in columns.of or "time" not in values:
        return f"CASE WHEN {name} IS NULL THEN NULL ELSE hash({name}) END"
    day = f"floor({values['time']} / 86400)"
    return f"CASE WHEN {name} IS NULL THEN NULL ELSE hash({name}, {day}) END"


def _count(
    count: str, columns: Columns, values: Mapping[str, str], words: Mapping[str, str]
) -> str:
    if not columns.long:
        absent = "1" if count == "impressions" else "0"
        return f"CAST(coalesce({values.get(count, absent)}, 0) AS BIGINT)"
    spelt = [quote_text(word) for word, event in words.items() if event == _COUNTS[count]]
    return f"CAST({_word(columns)} IN ({', '.join(spelt)}) AS BIGINT)"


def _known(columns: Columns, words: Mapping[str, str]) -> str:
    if not columns.long:
        return "true"
    known = [quote_text(word) for word, event in words.items() if event != "ignore"]
    return f"{_word(columns)} IN ({', '.join(known)})"


def _word(columns: Columns) -> str:
    return f"lower(trim({_text(columns.of['event'])}))"
