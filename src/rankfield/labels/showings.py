"""Events of sessions → one row for each time that a document was shown, clicked or not."""

from __future__ import annotations

from rankfield.labels.filters import EventFilters
from rankfield.labels.log_rows import LogRows
from rankfield.labels.times import Precision

__all__ = ["RAW", "by_position", "by_showing", "look_at_sessions"]

RAW = ("impressions", "clicks", "carts", "orders")
"""The counts."""


def look_at_sessions(rows: LogRows, filters: EventFilters, precision: Precision) -> str:
    """Return the SELECT over the view `events` of the sessions that are not plain.

    Its columns: session (null: all rows without one), rows, robots (rows of programs), reason (why
    the session is left out, or null) and again (whether impressions have different times).
    """
    of = rows.columns.of
    reason = filters.reason(
        has_time="time" in of, has_agent="user_agent" in of, precision=precision
    )
    shown = "time) FILTER (impressions > 0)"
    again = f"coalesce(min({shown} < max({shown}, false)" if rows.columns.long else "false"
    return (
        "SELECT * FROM (SELECT session, count(*) AS rows, count_if(robot) AS robots,"
        f" {reason} AS reason, {again} AS again FROM events GROUP BY session)"
        " WHERE session IS NULL OR reason IS NOT NULL OR again"
    )


def by_showing(rows: LogRows, decay: str, *, again: bool, without: bool) -> str:
    """Return the SELECT over `kept` of one row for each showing of a document to a session.

    A showing is a list, where lists have ids. Else it begins when the document is shown to the same
    query and session at a later time; events before the first showing are of the first. Rows
    without a session are summed by position.

    Args:
        decay: the SQL of an event's weight, or "".
        again, without: whether sessions with impressions at different times, and rows without a
            session, are among those kept: each takes a reading of the log.
    """
    lists = "list_id" in rows.columns.of
    plain = "SELECT * FROM kept WHERE session IS NOT NULL"
    sums = [f"max({c}) AS {c}" for c in RAW]
    sums += [f"max({c}) * max({decay}) AS decayed_{c}" for c in RAW] if decay else []
    shown_again = "(SELECT session FROM sessions WHERE again)"
    times = again and not lists
    alone = f"{plain} AND session NOT IN {shown_again}" if times else plain
    parts = [
        f"SELECT query, doc, {_place()} AS position, {', '.join(sums)} FROM ({alone})"
        f" GROUP BY session, query, doc{', list' if lists else ''}"
    ]
    if without:
        parts.append(by_position(decay, "session IS NULL"))
    if times:
        pair = "PARTITION BY session, query, doc"
        shown = (
            f"coalesce(max(time) FILTER (impressions > 0) OVER ({pair} ORDER BY time),"
            f" min(time) FILTER (impressions > 0) OVER ({pair}))"
        )
        parts.append(
            f"SELECT query, doc, {_place()} AS position, {', '.join(sums)} FROM"
            f" (SELECT *, {shown} AS showing FROM ({plain} AND session IN {shown_again}))"
            " GROUP BY session, query, doc, showing"
        )
    return " UNION ALL ".join(parts)


def _place() -> str:
    """Return the SQL of a showing's position; of several at one time, the highest in the list."""
    shown = "min(position) FILTER (impressions > 0 AND position > 0)"
    return f"coalesce({shown}, min(position) FILTER (position > 0), 0)"


def by_position(decay: str, where: str = "true") -> str:
    """Return the SELECT over `kept` of one row for each query, document and position."""
    raw = [f"CAST(sum({c}) AS BIGINT) AS {c}" for c in RAW]
    decayed = [f"CAST(sum({c} * {decay}) AS BIGINT) AS decayed_{c}" for c in RAW] if decay else []
    return (
        f"SELECT query, doc, position, {', '.join(raw + decayed)}"
        f" FROM kept WHERE {where} GROUP BY query, doc, position"
    )
