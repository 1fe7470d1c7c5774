"""The view `log`: a log's rows by role, each event with the text of its query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rankfield.errors import DataError
from rankfield.labels.log_rows import LogRows
from rankfield.labels.sql import quote_text

__all__ = ["create_log_view"]


def create_log_view(connection: Any, rows: LogRows, applications: Sequence[str] = ()) -> None:
    """Create the view `log`.

    Some standards write a query's text once and not into each event: it is joined here by the id of
    the list, or by the session and page that the results are on (see `layouts.Layout`).

    Args:
        applications: the applications whose events count; empty: all.

    Raises:
        DataError: a broken file, or no column of applications.
    """
    layout, of = rows.columns.layout, rows.columns.of
    source = f"({rows.sql()})"
    events = "event IS NOT NULL" if layout and layout.query_rows and "event" in of else "true"
    events += _of(applications, rows)
    key, chosen = "", ""
    if layout and layout.query_rows and {"query", "list_id"} <= of.keys():
        key, chosen = _text("list_id"), "event IS NULL AND " if "event" in of else ""
    elif "page" in rows.chosen:
        parts = [_text(role) for role in ("user_id", "session_id") if role in of]
        key = " || chr(31) || ".join([*parts, _text("page")])
    if not key:
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW log AS SELECT * FROM {source} WHERE {events}"
        )
        return
    query = f"nullif({_text('query')}, '')"
    with rows.files.errors():
        # of a page with several texts, none is known to be the one that was searched for
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE texts AS SELECT key, min(text) AS text FROM"
            f" (SELECT {key} AS key, {query} AS text FROM {source}"
            f" WHERE {chosen}{query} IS NOT NULL) WHERE key IS NOT NULL"
            " GROUP BY key HAVING min(text) = max(text)"
        )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW log AS SELECT r.* REPLACE"
        f" (coalesce({query}, t.text) AS query) FROM {source} r"
        f" LEFT JOIN texts t ON {key} = t.key WHERE {events}"
    )


def _of(applications: Sequence[str], rows: LogRows) -> str:
    if not applications:
        return ""
    if "application" not in rows.columns.of:
        raise DataError(
            "expected a column of applications, found none",
            where=str(rows.files.paths[0]),
            remedy="Name it with --column application=NAME.",
        )
    return f" AND {_text('application')} IN ({', '.join(map(quote_text, applications))})"


def _text(role: str) -> str:
    return f"CAST({role} AS VARCHAR)"
