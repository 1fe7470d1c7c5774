"""An event log as one SQL view of plain columns, every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankfield.labels.columns import Columns
from rankfield.labels.filters import EventFilters
from rankfield.labels.log_rows import LogRows
from rankfield.labels.sql import quote_text
from rankfield.labels.survey import (
    CHECKED,
    COUNTS,
    EventSurvey,
    absent,
    normalised_text,
    text,
    value,
    word,
)

__all__ = ["create_events_view"]

_OWN = "own_events"


def create_events_view(
    connection: Any,
    rows: LogRows,
    *,
    found: EventSurvey,
    words: Mapping[str, str],
    filters: EventFilters,
) -> int:
    """Create the view `events` of the rows that have ids, a known event and a place in the list.

    Its columns: query and doc (text), position (from 1; 0 where unknown), time (seconds since
    1970), session and list (hashes, or null), robot, and the counts impressions, clicks, carts,
    orders.

    A click, cart or order without a query of its own takes query and list of the impression of its
    document that came last before it in its session.

    Args:
        words: word of the event column, lower case → event or "ignore".

    Returns:
        How many rows took the query of an impression.
    """
    columns = rows.columns
    values = {role: value(role, rows.types) for role in CHECKED if role in columns.of}
    shift = 1 if found.first_position == 0 else 0
    placed = "position" in columns.of
    position = f"CAST({values['position']} AS INTEGER) + {shift}" if placed else "1"
    agent = f"lower({text('user_agent')})" if "user_agent" in columns.of else "''"
    robots = quote_text(filters.bot_agents)
    robot = f"coalesce(regexp_matches({agent}, {robots}), false)" if filters.bot_agents else "false"
    counts = ", ".join(f"{_count(c, columns, values, words)} AS {c}" for c in COUNTS)
    lists = f"CASE WHEN NOT {absent('list_id')} THEN hash({text('list_id')}) END"
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {_OWN} AS SELECT CASE WHEN NOT {absent(columns.query)}"
        f" THEN {_query(columns)} END AS query, {text('doc_id')} AS doc,"
        f" coalesce({position}, 0) AS position, {values.get('time', 'NULL')} AS time,"
        f" {_session(columns, values)} AS session,"
        f" {lists if 'list_id' in columns.of else 'CAST(NULL AS UBIGINT)'} AS list,"
        f" {robot} AS robot, {counts} FROM log WHERE NOT {absent('doc_id')}"
        f" AND coalesce({position}, 0) <= {filters.max_position} AND {_known(columns, words)}"
    )
    own = f"SELECT * FROM {_OWN} WHERE query IS NOT NULL"
    adopts = found.without_query and "time" in values and columns.session is not None
    adopted = _adopt(connection, rows) if adopts and columns.long else 0
    if adopted:
        own += " UNION ALL SELECT * FROM adopted"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW events AS {own}")
    return adopted


def _adopt(connection: Any, rows: LogRows) -> int:
    """Create the table `adopted` of events that take the query of an impression before them."""
    with rows.files.errors():
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE adopted AS SELECT shown.query, o.doc, o.position, o.time,"
            " o.session, shown.list, o.robot, o.impressions, o.clicks, o.carts, o.orders"
            f" FROM (SELECT * FROM {_OWN} WHERE query IS NULL AND impressions = 0) o ASOF JOIN"
            " (SELECT session, doc, time, min(query) AS query, arg_min(list, (query, list)) AS list"
            f" FROM {_OWN} WHERE query IS NOT NULL AND impressions > 0 AND time IS NOT NULL"
            " GROUP BY session, doc, time) shown"
            " ON o.session = shown.session AND o.doc = shown.doc AND o.time >= shown.time"
        )
    return int(connection.execute("SELECT count(*) FROM adopted").fetchone()[0])


def _query(columns: Columns) -> str:
    if columns.query == "query_id":
        return text("query_id")
    return normalised_text()


def _session(columns: Columns, values: Mapping[str, str]) -> str:
    if columns.session is None:
        return "CAST(NULL AS UBIGINT)"
    known = []
    if "session_id" in columns.of:
        within = columns.layout is not None and columns.layout.session_within_user
        user = f", {text('user_id')}" if within and "user_id" in columns.of else ""
        known.append(f"WHEN NOT {absent('session_id')} THEN hash({text('session_id')}{user})")
    if "user_id" in columns.of:
        day = f", floor({values['time']} / 86400)" if "time" in values else ""
        known.append(f"WHEN NOT {absent('user_id')} THEN hash({text('user_id')}{day})")
    if columns.session == "list_id":
        known.append(f"WHEN NOT {absent('list_id')} THEN hash({text('list_id')})")
    return f"CASE {' '.join(known)} END"


def _count(
    count: str, columns: Columns, values: Mapping[str, str], words: Mapping[str, str]
) -> str:
    if not columns.long:
        without = "1" if count == "impressions" else "0"
        return f"CAST(coalesce({values.get(count, without)}, 0) AS BIGINT)"
    spelt = [quote_text(word) for word, event in words.items() if event == COUNTS[count]]
    return f"CAST({word()} IN ({', '.join(spelt)}) AS BIGINT)"


def _known(columns: Columns, words: Mapping[str, str]) -> str:
    if not columns.long:
        return "true"
    known = [quote_text(word) for word, event in words.items() if event != "ignore"]
    return f"{word()} IN ({', '.join(known)})"
