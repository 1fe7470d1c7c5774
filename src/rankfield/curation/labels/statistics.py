"""Events → counts for each (query, document, position), by DuckDB within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankfield.curation.labels.columns import Columns
from rankfield.curation.labels.event_files import EventFiles, quote_text
from rankfield.curation.labels.events import EventSurvey
from rankfield.curation.labels.filters import EventFilters
from rankfield.errors import DataError, InputError
from rankfield.files import new_file
from rankfield.progress import progress

__all__ = ["Dropped", "check_events", "counting", "write_statistics"]

_ONE = 1 << 20
"""Decayed counts are sums of whole 2⁻²⁰ths: float sums would depend on the order of threads."""

_RAW = ("impressions", "clicks", "carts", "orders")
_DECAYED = tuple(f"decayed_{c}" for c in _RAW)

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

    rows: dict[str, int]
    sessions: dict[str, dict[str, int]]
    lost_clicks: int
    unplaced: int


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


def check_events(found: EventSurvey, words: dict[str, str], where: str, *, long: bool) -> None:
    """Raise unless the log has ids, impressions and clicks, and every event's word is known.

    Raises:
        DataError: no ids, an unknown word, no impressions, no clicks.
    """
    if found.without_id == found.rows:
        raise DataError(
            f"expected a query and a document, found none in any of {found.rows:,} rows",
            where=where,
            remedy="Choose their columns with --column query_id=NAME and --column doc_id=NAME.",
        )
    unknown = {word: n for word, n in found.words.items() if word not in words}
    if unknown:
        listed = ", ".join(f"{word!r} ({n:,} rows)" for word, n in list(unknown.items())[:5])
        raise DataError(
            f"unknown events {listed}",
            where=where,
            remedy="Say what each is with --event WORD=impression|click|cart|order|ignore.",
        )
    if long:
        kinds = {words[word] for word in found.words}
        missing = [kind for kind in ("impression", "click") if kind not in kinds]
    else:
        missing = [c[:-1] for c in ("impressions", "clicks") if found.counts.get(c, 1) == 0]
    if missing:
        raise DataError(
            f"no {missing[0]} among {found.rows:,} rows",
            where=where,
            remedy="A score is clicks over impressions: both must be in the log.",
        )


def write_statistics(
    connection: Any,
    target: Path,
    *,
    files: EventFiles,
    columns: Columns,
    found: EventSurvey,
    filters: EventFilters,
    half_life: float | None,
) -> Dropped:
    """Aggregate the view `events` into a Parquet file, sorted by query, document and position.

    With sessions, an event counts once for each session, query and document, at the position of
    its first impression; a click is at the position of the impression that it followed. Without,
    counts are summed for each query, document and position. No more clicks than impressions count.

    Columns: query_id, doc_id, position (0: unknown; carts and orders only), impressions, clicks,
    carts, orders (int64) and, with a half-life, decayed_impressions … (float64): each event times
    exp(−ln 2 · age / half-life), its age counted from the log's newest event. Where queries have
    no ids, query_id is the first 16 hexadecimal digits of the text's MD5, and `query` the text.

    Args:
        half_life: in days, or None.

    Raises:
        DataError: a broken file; a half-life without times.
    """
    if half_life is not None and found.end is None:
        raise DataError(
            "expected a column of times for the half-life, found none",
            where=str(files.paths[0]),
            remedy="Name it with --column time=NAME, or leave the half-life out.",
        )
    sessions = _drop_sessions(connection, files, columns, filters)
    lists = columns.long and columns.session is not None
    text = "query_id" not in columns.of
    identity = "substr(md5(query), 1, 16) AS query_id, query" if text else "query AS query_id"
    decay = _decay(found, half_life)
    rows = _by_session(decay) if lists else _by_position(decay)
    sums = [*_RAW, "lost", "unplaced"]
    select = ", ".join(f"CAST(sum({c}) AS BIGINT) AS {c}" for c in sums)
    if decay:
        select += "".join(f", CAST(sum({c}) AS DOUBLE) / {_ONE} AS {c}" for c in _DECAYED)
    select = (
        f"SELECT {identity}, doc AS doc_id, position, {select}"
        f" FROM ({_placed(rows, decayed=bool(decay))}) GROUP BY query, doc, position"
        f" ORDER BY query_id, doc_id, position{', query' if text else ''}"
    )
    with new_file(target) as temporary, files.errors():
        path = quote_text(str(temporary))
        _run(connection, f"COPY ({select}) TO {path} (FORMAT parquet)", "counting events")
    totals = connection.execute(
        f"SELECT sum(lost), sum(unplaced) FROM read_parquet({quote_text(str(target))})"
    ).fetchone()
    return Dropped(
        rows={"without an id": found.without_id} if found.without_id else {},
        sessions=sessions,
        lost_clicks=int(totals[0] or 0),
        unplaced=int(totals[1] or 0),
    )


def _decay(found: EventSurvey, half_life: float | None) -> str:
    """Return the SQL of an event's weight in whole 2⁻²⁰ths, or "" without a half-life."""
    if half_life is None:
        return ""
    rate = math.log(2) / (half_life * 86400)
    age = f"({found.end!r} - coalesce(time, {found.start!r}))"
    return f"CAST(round({_ONE} * exp(-{rate!r} * {age})) AS BIGINT)"


def _by_session(decay: str) -> str:
    """Return the SELECT of one row for each session, query and document.

    Rows without a session count as of one session a query and document.
    """
    shown = "min(position) FILTER (impressions > 0 AND position > 0)"
    place = f"coalesce({shown}, min(position) FILTER (position > 0), 0)"
    raw = [f"max({c}) AS {c}" for c in _RAW]
    decayed = [f"max({c}) * max({decay}) AS decayed_{c}" for c in _RAW] if decay else []
    return (
        f"SELECT query, doc, {place} AS position, {', '.join(raw + decayed)}"
        " FROM kept GROUP BY session, query, doc"
    )


def _by_position(decay: str) -> str:
    """Return the SELECT of one row for each query, document and position."""
    raw = [f"CAST(sum({c}) AS BIGINT) AS {c}" for c in _RAW]
    decayed = [f"CAST(sum({c} * {decay}) AS BIGINT) AS decayed_{c}" for c in _RAW] if decay else []
    return (
        f"SELECT query, doc, position, {', '.join(raw + decayed)}"
        " FROM kept GROUP BY query, doc, position"
    )


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
    connection: Any, files: EventFiles, columns: Columns, filters: EventFilters
) -> dict[str, dict[str, int]]:
    """Create the view `kept` without the filtered sessions; return how many and their rows."""
    if columns.session is None:
        connection.execute("CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM events")
        return {}
    chosen = filters.dropped_sessions(
        has_time="time" in columns.of, has_agent="user_agent" in columns.of
    )
    with files.errors():
        table = f"CREATE OR REPLACE TEMP TABLE dropped AS {chosen}"
        _run(connection, table, "looking at sessions")
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM events"
        " WHERE session IS NULL OR session NOT IN (SELECT session FROM dropped)"
    )
    rows = connection.execute(
        "SELECT reason, count(*), CAST(sum(rows) AS BIGINT) FROM dropped GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {reason: {"sessions": sessions, "rows": count} for reason, sessions, count in rows}


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
