"""What a log must have to be counted, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rankfield.errors import DataError
from rankfield.labels.columns import TEXTS_ELSEWHERE, Columns
from rankfield.labels.filters import EventFilters
from rankfield.labels.log_rows import LogRows
from rankfield.labels.survey import EventSurvey
from rankfield.labels.times import Precision
from rankfield.messages import listed

__all__ = ["check_events", "nothing_left", "remarks"]

_SHOWN = 5


def check_events(found: EventSurvey, words: Mapping[str, str], rows: LogRows) -> None:
    """Raise unless the log has ids, impressions and clicks, and every event's word is known.

    Raises:
        DataError: no ids, an unknown word in a row with a query and a document, no impressions, no
            clicks.
    """
    where, columns = str(rows.files.paths[0]), rows.columns
    if found.without_id == found.rows:
        raise _no_ids(found, columns, where)
    unknown = {word: n for word, n in found.words.items() if word not in words}
    if unknown:
        raise DataError(
            f"unknown events {_listed(unknown)}",
            where=where,
            remedy="Say what each is with --event WORD=impression|click|cart|order|ignore.",
        )
    if columns.long:
        kinds = {words.get(word) for word in (*found.words, *found.other_words)}
        missing = [kind for kind in ("impression", "click") if kind not in kinds]
    else:
        missing = [c[:-1] for c in ("impressions", "clicks") if found.counts.get(c, 1) == 0]
    if missing:
        raise DataError(
            f"no {missing[0]} among {found.rows:,} rows",
            where=where,
            remedy=f"A score is clicks over impressions: both must be in the log.{_views(found)}",
        )


def _views(found: EventSurvey) -> str:
    if "view" not in found.words:
        return ""
    return " If a view is what a list showed, say so with --event view=impression."


def _no_ids(found: EventSurvey, columns: Columns, where: str) -> DataError:
    query = columns.query
    remedy = f"Choose their columns with --column {query}=NAME and --column doc_id=NAME."
    if columns.layout is not None and columns.layout.query_rows and query == "query":
        remedy = TEXTS_ELSEWHERE
    return DataError(
        f"expected a query and a document, found none in any of {found.rows:,} rows",
        where=where,
        remedy=remedy,
    )


def remarks(
    found: EventSurvey,
    words: Mapping[str, str],
    rows: LogRows,
    *,
    filters: EventFilters,
    precision: Precision,
    adopted: int,
) -> list[str]:
    """Return a line for each thing that was guessed, or that the log cannot carry."""
    columns = rows.columns
    of, lists = columns.of, columns.long and columns.session is not None
    notes = [
        f"event {word!r} is {words[word]}; choose with --event {word}=EVENT"
        for word in found.words
        if words[word] != word
    ]
    others = {w: n for w, n in found.other_words.items() if words.get(w, "ignore") == "ignore"}
    if others:
        notes.append(f"events without a query or a document are ignored: {_listed(others)}")
    if found.first_position == 0:
        notes.append("positions count from 0; they are shifted by one")
    notes += _sessions(columns)
    notes += _queries(found, columns)
    if len(found.applications) > 1:
        notes.append(
            f"{len(found.applications)} applications, counted together:"
            f" {_listed(found.applications)}; choose with --application NAME"
        )
    if adopted:
        notes.append(
            f"{adopted:,} clicks, carts and orders without a query count for the query that showed"
            " their document last in the session"
        )
    if columns.session is not None:
        notes += filters.notes(has_time="time" in of, precision=precision)
    if lists and "time" not in of and "list_id" not in of:
        notes.append("no time or list_id; a document counts once a session and query")
    elif lists and "list_id" not in of and precision.seconds >= 60:
        notes.append(
            f"times are given to {precision.name}; lists shown again within it count as one"
        )
    return notes


def _sessions(columns: Columns) -> list[str]:
    of = columns.of
    if "session_id" in of:
        return []
    if "user_id" in of:
        day = "each user's day (UTC)" if "time" in of else "each user"
        return [f"no session_id; {day} counts as a session"]
    if "list_id" in of:
        return ["no session_id or user_id; each list counts as a session"]
    return ["no session_id or user_id; sessions are not filtered, every row counts"]


def _queries(found: EventSurvey, columns: Columns) -> list[str]:
    name = columns.of.get("query_id", "")
    if found.ids > 2 * found.texts > 0:
        return [
            f"query_id {name!r} has {found.ids:,} ids of {found.texts:,} texts; if each is one"
            f" search, choose --column list_id={name} --column query={columns.of['query']}"
        ]
    if found.spaced_ids <= 0.5:
        return []
    return [
        f"query_id {name!r} seems to hold texts, whose spellings are told apart by case and spaces;"
        f" choose with --column query={name}"
    ]


def _listed(counts: Mapping[str, int]) -> str:
    return listed([f"{word!r} ({n:,} rows)" for word, n in counts.items()], _SHOWN)


def nothing_left(files: Sequence[str], dropped: Mapping[str, Any]) -> DataError:
    """Return the error of a log of which no impression is left: what most of it was left out for.

    Args:
        files: the names of the log's parts.
        dropped: the fields of `statistics.Dropped`.
    """
    where = ", ".join(files[:3])
    reasons = {name: found["rows"] for name, found in dropped["sessions"].items()}
    reasons |= dropped["rows"] | {"impressions without a position": dropped["unplaced"]}
    most = max(reasons, key=lambda name: reasons[name])
    if not reasons[most]:
        most, found = "a position beyond the last that counts", ""
    else:
        found = f" ({reasons[most]:,} rows)"
    return DataError(
        f"no impression is left; most were left out for: {most}{found}",
        where=where,
        remedy=_REMEDIES.get(most, "See --max-position."),
    )


_REMEDIES = {
    "impressions without a position": "Choose the column with --column position=NAME.",
    "too many events": "See --max-session-events, and which column is the session (--column).",
    "clicks too fast": "See --max-click-rate, and which column is the time (--column).",
    "robot by user agent": "See --bot-agents.",
    "no click": "Leave out --drop-clickless.",
    "without an id": "See which columns are the query and the document (--column).",
}
