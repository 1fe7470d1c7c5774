"""Which column of an event log plays which role, and which word names which event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rankfield.column_names import DOC_IDS, QUERY_IDS, QUERY_TEXTS, find_column
from rankfield.errors import DataError, InputError
from rankfield.labels.layouts import Layout
from rankfield.labels.nested import ColumnPath, find_path
from rankfield.messages import did_you_mean

__all__ = [
    "EVENTS",
    "EVENT_WORDS",
    "ROLES",
    "TEXTS_ELSEWHERE",
    "Columns",
    "choose_columns",
    "event_words",
]

EVENTS = ("impression", "click", "cart", "order")
"""What can happen to a document in a list of results."""

_SEARCHES = ("search_id", "request_id", "impression_id", "serp_id")
"""Ids of one search, which is another each time that a query is issued."""

ROLES: dict[str, tuple[str, ...]] = {
    "query_id": QUERY_IDS,
    "query": QUERY_TEXTS,
    "doc_id": DOC_IDS,
    "event": ("event", "event_type", "type", "action", "event_name"),
    "position": ("position", "rank", "pos", "slot"),
    "time": ("time", "timestamp", "event_time", "ts", "created_at", "datetime", "date"),
    "list_id": ("list_id", *_SEARCHES),
    "session_id": ("session_id", "session", "sid", "visit_id"),
    "user_id": ("user_id", "user", "visitor_id", "client_id"),
    "user_agent": ("user_agent", "useragent", "ua"),
    "application": (),
    "impressions": ("impressions", "impression", "shown", "exposures"),
    "clicks": ("clicks", "click", "clicked", "is_click"),
    "carts": ("carts", "cart", "add_to_carts", "add_to_cart", "carted"),
    "orders": ("orders", "order", "purchases", "purchase", "ordered", "conversions"),
}
"""Role → the column names that are tried for it, in this order, however they are spelt."""

EVENT_WORDS: dict[str, str] = {
    **dict.fromkeys(("impression", "impressions", "imp", "shown", "show", "display"), "impression"),
    **dict.fromkeys(("exposure", "serve", "served", "view_item_list"), "impression"),
    **dict.fromkeys(("click", "clicks", "clicked", "select_item"), "click"),
    **dict.fromkeys(("cart", "add_to_cart", "add-to-cart", "addtocart", "atc", "basket"), "cart"),
    **dict.fromkeys(("order", "orders", "purchase", "buy", "conversion", "transaction"), "order"),
}
"""Word of an event column, lower case → event. "view" is left out: it may be either."""

_LOOSE = ("type", "action")
"""Names of an event column that mean something else in a log with a column of clicks."""

_COUNTS = ("impressions", "clicks", "carts", "orders")

TEXTS_ELSEWHERE = (
    "They are in ubi_queries: put it beside the events, into one folder or file. Or name what"
    " judgments go by, with --column query=NAME; with --column query_id=query_id, each issued query"
    " stands alone."
)
"""What to do about events of a layout whose queries' texts are written apart."""

_NEEDS_QUERY = "--column query=NAME (a text) or --column query_id=NAME (an id)"


@dataclass(frozen=True)
class Columns:
    """The column that plays each role.

    `of` maps roles of `ROLES` to columns of the log, nested ones with dots. `long` is true where
    each row is one event that the column `event` names; else each row counts impressions, clicks,
    carts and orders, and is one impression if there is no column of impressions.

    paths: the same columns, taken apart. layout: the standard that the log follows, or None.
    """

    of: Mapping[str, str]
    paths: Mapping[str, ColumnPath] = field(default_factory=dict)
    layout: Layout | None = None

    @property
    def long(self) -> bool:
        """Whether each row is one event."""
        return "event" in self.of

    @property
    def query(self) -> str:
        """The role that tells queries apart: ids, else the text."""
        return "query_id" if "query_id" in self.of else "query"

    @property
    def session(self) -> str | None:
        """The role that tells sessions apart, else users, else lists, else None."""
        return next((r for r in ("session_id", "user_id", "list_id") if r in self.of), None)


def choose_columns(
    found: Sequence[str], given: Mapping[str, str], *, layout: Layout | None, where: str
) -> tuple[Columns, list[str]]:
    """Return the column of each role, and a line for each guess whose name is not the role's.

    Args:
        found: the log's columns.
        given: role → column, as asked for; the others are those of the layout, or guessed.
        layout: the standard that the log follows, if it is known.
        where: the file, for messages.

    Raises:
        InputError: a role that does not exist.
        DataError: a column that was asked for is not there; no query, document, or click.
    """
    chosen: dict[str, ColumnPath] = {}
    for role, column in given.items():
        if role not in ROLES:
            raise InputError(f"unknown role {role!r}; expected one of {', '.join(ROLES)}")
        path = find_path(column, found)
        if path is None:
            raise _missing(column, found, where, role)
        chosen[role] = path
    if layout is not None:
        guessed = _by_layout(found, chosen, layout)
        notes = [_known_layout(layout, guessed)]
    else:
        guessed = _by_name(found, chosen, where)
        notes = [
            f"column {path.name!r} is the {role}; choose with --column {role}=NAME"
            for role, path in guessed.items()
            if path.name != role
        ]
    chosen |= guessed
    if layout is not None and layout.query_rows and not {"query", "query_id"} & chosen.keys():
        raise DataError(
            "expected the texts of queries, found none in the events",
            where=where,
            remedy=TEXTS_ELSEWHERE,
        )
    if "query_id" not in chosen and "query" not in chosen:
        raise _missing("query", found, where, "query")
    if "doc_id" not in chosen:
        raise _missing("doc_id", found, where, "doc_id")
    if "event" not in chosen and "clicks" not in chosen:
        raise _missing("event", found, where, "event")
    ordered = {role: chosen[role] for role in ROLES if role in chosen}
    return Columns({r: p.name for r, p in ordered.items()}, ordered, layout), notes


def _by_name(
    found: Sequence[str], chosen: Mapping[str, ColumnPath], where: str
) -> dict[str, ColumnPath]:
    """Return the columns of the roles not chosen yet, by their usual names."""
    counted = "clicks" in chosen or find_column(found, ROLES["clicks"], where=where) is not None
    taken = {path.name for path in chosen.values()}
    guessed: dict[str, ColumnPath] = {}
    for role, names in ROLES.items():
        if role in chosen or (role in _COUNTS and ("event" in chosen or "event" in guessed)):
            continue
        if role == "query_id" and "query" in chosen:
            continue  # the user has said what queries are told apart by
        loose = _LOOSE if role == "event" and counted else ()
        tried = [name for name in names if name not in loose]
        free = [name for name in found if name not in taken]
        guess = find_column(free, tried, where=where)
        if guess is not None:
            guessed[role] = ColumnPath(guess)
            taken.add(guess)
    return guessed


def _by_layout(
    found: Sequence[str], chosen: Mapping[str, ColumnPath], layout: Layout
) -> dict[str, ColumnPath]:
    guessed: dict[str, ColumnPath] = {}
    for role, names in layout.columns.items():
        if role in chosen or (role == "query" and "query_id" in chosen):
            continue
        paths = (find_path(name, found) for name in names)
        path = next((path for path in paths if path is not None), None)
        if path is not None:
            guessed[role] = path
    return guessed


def _known_layout(layout: Layout, columns: Mapping[str, ColumnPath]) -> str:
    used = ", ".join(f"{role}={path.name}" for role, path in columns.items())
    return f"the log is of {layout.name}: {used}; choose others with --column ROLE=NAME"


def _missing(column: str, found: Sequence[str], where: str, role: str) -> DataError:
    either = " (or 'clicks' with counts)" if role == "event" and column == role else ""
    if role == "query" and column == role:
        either = " (or 'query_id')"
    choice = _NEEDS_QUERY if role in ("query", "query_id") else f"--column {role}=NAME"
    return DataError(
        f"expected a column {column!r}{either}, found {', '.join(map(repr, found)) or 'none'}",
        where=where,
        remedy=f"{did_you_mean(column, found)} Choose the column with {choice}.".lstrip(),
    )


def event_words(given: Mapping[str, str], layout: Layout | None = None) -> dict[str, str]:
    """Return word → event: the words of `given`, then the layout's, then those of `EVENT_WORDS`.

    Args:
        given: word → one of `EVENTS`, or "ignore".
        layout: the standard that the log follows, if it is known.

    Raises:
        InputError: another event.
    """
    for word, event in given.items():
        if event not in (*EVENTS, "ignore"):
            raise InputError(
                f"expected {word}=EVENT with one of {', '.join(EVENTS)}, ignore; found {event!r}"
            )
    known = EVENT_WORDS | (dict(layout.words) if layout else {})
    return known | {word.strip().lower(): event for word, event in given.items()}
