"""Events → counts for each (query, document, position), by DuckDB within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rankfield.errors import InputError
from rankfield.files import new_file
from rankfield.labels.filters import EventFilters
from rankfield.labels.log_rows import LogRows
from rankfield.labels.showings import RAW, by_position, by_showing, look_at_sessions
from rankfield.labels.sql import quote_path, quote_text
from rankfield.labels.times import Precision, Span
from rankfield.progress import progress

__all__ = ["Dropped", "counting", "write_statistics"]

_ONE = 1 << 20
"""Decayed counts are sums of whole 2⁻²⁰ths: float sums would depend on the order of threads."""

_DECAYED = tuple(f"decayed_{c}" for c in RAW)

_MOST_MEMORY = 1 << 20
_SHARE_OF_MEMORY = 0.6
"""DuckDB's own bound leaves out what readers and sorts hold beside its buffers."""


@dataclass(frozen=True)
class Dropped:
    """What was left out: rows by reason, and sessions by reason with their rows.

    lost_clicks: clicks without an impression of the same session, document and query (or, without
        sessions, of the same query, document and position).
    unplaced: impressions without a position.
    """

    rows: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, dict[str, int]] = field(default_factory=dict)
    lost_clicks: int = 0
    unplaced: int = 0


@contextmanager
def counting(folder: Path, memory: float) -> Iterator[Any]:
    """Yield a DuckDB connection that spills to `folder` beyond its share of `memory` GiB.

    Raises:
        InputError: less than 0.5 GiB, or more than a machine has.
    """
    import duckdb

    if not 0.5 <= memory <= _MOST_MEMORY:
        raise InputError(f"expected 0.5 to {_MOST_MEMORY:,} (GiB), found {memory}", where="memory")
    connection = duckdb.connect(
        config={
            "memory_limit": f"{int(memory * _SHARE_OF_MEMORY * 1024)}MiB",
            "temp_directory": str(folder),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        yield connection
    finally:
        connection.close()


def write_statistics(
    connection: Any,
    target: Path,
    *,
    rows: LogRows,
    span: Span,
    precision: Precision,
    filters: EventFilters,
    half_life: float | None,
) -> Dropped:
    """Aggregate the view `events` into a Parquet file, sorted by query, document and position.

    With sessions, an event counts once for each showing of a document (`showings.by_showing`), at
    its position there. Without, counts are summed for each query, document and position. No more
    clicks than impressions count.

    Columns: query_id, doc_id, position (0: unknown; carts and orders only), impressions, clicks,
    carts, orders (int64) and, with a half-life, decayed_impressions … (float64): each event times
    exp(−ln 2 · age / half-life), its age counted from the end of `span`. Where queries have no ids,
    query_id is the first 16 hexadecimal digits of the text's MD5, and `query` the text.

    Args:
        half_life: in days, or None.

    Raises:
        DataError: a broken file.
    """
    dropped = _drop_sessions(connection, rows, filters, precision)
    lists = rows.columns.long and rows.columns.session is not None
    by_text = rows.columns.query == "query"
    identity = "substr(md5(query), 1, 16) AS query_id, query" if by_text else "query AS query_id"
    decay = _decay(span, half_life)
    counted = _showings(connection, rows, decay) if lists else by_position(decay)
    sums = [*RAW, "lost", "unplaced"]
    select = ", ".join(f"CAST(sum({c}) AS BIGINT) AS {c}" for c in sums)
    if decay:
        select += "".join(f", CAST(sum({c}) AS DOUBLE) / {_ONE} AS {c}" for c in _DECAYED)
    select = (
        f"SELECT {identity}, doc AS doc_id, position, {select}"
        f" FROM ({_placed(counted, decayed=bool(decay))}) GROUP BY query, doc, position"
        f" ORDER BY query_id, doc_id, position{', query' if by_text else ''}"
    )
    with new_file(target) as temporary, rows.files.errors():
        path = quote_text(str(temporary))
        _run(
            connection,
            f"COPY ({select}) TO {path} (FORMAT parquet, USE_TMP_FILE false)",
            "counting events",
        )
    totals = connection.execute(
        f"SELECT sum(lost), sum(unplaced) FROM read_parquet({quote_path(target)})"
    ).fetchone()
    return replace(dropped, lost_clicks=int(totals[0] or 0), unplaced=int(totals[1] or 0))


def _showings(connection: Any, rows: LogRows, decay: str) -> str:
    again, without = connection.execute(
        "SELECT count_if(again AND session IS NOT NULL AND reason IS NULL) > 0,"
        " count_if(session IS NULL AND robots < rows) > 0 FROM sessions"
    ).fetchone()
    return by_showing(rows, decay, again=again, without=without)


def _decay(span: Span, half_life: float | None) -> str:
    """Return the SQL of an event's weight in whole 2⁻²⁰ths, or "" without a half-life."""
    if half_life is None:
        return ""
    rate = math.log(2) / (half_life * 86400)
    time = f"coalesce(time, {span.start!r})"
    if span.earlier or span.later:
        time = f"least(greatest({time}, {span.start!r}), {span.end!r})"
    return f"CAST(round({_ONE} * exp(-{rate!r} * ({span.end!r} - {time}))) AS BIGINT)"


def _placed(rows: str, *, decayed: bool) -> str:
    """Leave out impressions without a position, and clicks beyond the impressions."""
    columns = ["query", "doc", "position", "carts", "orders"]
    for prefix in ("", "decayed_") if decayed else ("",):
        seen = f"CASE WHEN position > 0 THEN {prefix}impressions ELSE 0 END"
        columns.append(f"{seen} AS {prefix}impressions")
        columns.append(f"least({prefix}clicks, {seen}) AS {prefix}clicks")
        if not prefix:
            columns.append(f"greatest(clicks - ({seen}), 0) AS lost")
            columns.append(f"impressions - ({seen}) AS unplaced")
    columns += ["decayed_carts", "decayed_orders"] if decayed else []
    return f"SELECT {', '.join(columns)} FROM ({rows})"


def _drop_sessions(
    connection: Any, rows: LogRows, filters: EventFilters, precision: Precision
) -> Dropped:
    """Create the view `kept` without the filtered sessions and rows; return what was left out."""
    columns = rows.columns
    if columns.session is None and "user_agent" not in columns.of:
        connection.execute("CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM events")
        return Dropped()
    chosen = look_at_sessions(rows, filters, precision)
    with rows.files.errors():
        table = f"CREATE OR REPLACE TEMP TABLE sessions AS {chosen}"
        _run(connection, table, "looking at sessions")
    left_out = "SELECT session FROM sessions WHERE session IS NOT NULL AND reason IS NOT NULL"
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM events WHERE"
        " (session IS NULL AND NOT robot)"
        f" OR (session IS NOT NULL AND session NOT IN ({left_out}))"
    )
    found = connection.execute(
        "SELECT reason, count(*), CAST(sum(rows) AS BIGINT) FROM sessions WHERE session IS NOT NULL"
        " AND reason IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    alone = connection.execute("SELECT sum(robots) FROM sessions WHERE session IS NULL").fetchone()
    return Dropped(
        rows={"robot by user agent": int(alone[0])} if alone[0] else {},
        sessions={reason: {"sessions": number, "rows": count} for reason, number, count in found},
    )


def _run(connection: Any, sql: str, what: str) -> None:
    """Run a long statement with its progress on stderr, and stop it at an interrupt."""
    with ThreadPoolExecutor(1) as pool, progress(what, 100, unit="%") as advance:
        running, shown = pool.submit(connection.execute, sql), 0
        try:
            while True:
                try:
                    running.result(timeout=0.1)
                    return
                except TimeoutError:
                    now = max(shown, int(connection.query_progress()))
                    advance(now - shown)
                    shown = now
        except BaseException:
            connection.interrupt()
            raise
