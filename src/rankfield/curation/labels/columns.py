"""Which column of an event log plays which role, and which word names which event."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankfield.errors import DataError, InputError

__all__ = ["EVENTS", "EVENT_WORDS", "ROLES", "Columns", "choose_columns", "event_words"]

EVENTS = ("impression", "click", "cart", "order")
"""What can happen to a document in a list of results."""

ROLES: dict[str, tuple[str, ...]] = {
    "query_id": ("query_id", "query-id", "qid", "queryid", "search_id"),
    "query": ("query", "query_text", "search_term", "search_terms", "keyword", "keywords"),
    "doc_id": ("doc_id", "doc-id", "docid", "document_id", "product_id", "item_id", "sku", "asin"),
    "event": ("event", "event_type", "type", "action", "event_name"),
    "position": ("position", "rank", "pos", "slot"),
    "time": ("time", "timestamp", "event_time", "ts", "created_at", "datetime", "date"),
    "session_id": ("session_id", "session", "sid", "visit_id"),
    "user_id": ("user_id", "user", "visitor_id", "client_id"),
    "user_agent": ("user_agent", "useragent", "ua"),
    "impressions": ("impressions", "impression", "shown", "exposures"),
    "clicks": ("clicks", "click", "clicked", "is_click"),
    "carts": ("carts", "cart", "add_to_carts", "add_to_cart", "carted"),
    "orders": ("orders", "order", "purchases", "purchase", "ordered", "conversions"),
}
"""Role → the column names that are tried for it, case apart, in this order."""

EVENT_WORDS: dict[str, str] = {
    **dict.fromkeys(("impression", "impressions", "imp", "shown", "show", "display"), "impression"),
    **dict.fromkeys(("exposure", "serve", "served"), "impression"),
    **dict.fromkeys(("click", "clicks", "clicked"), "click"),
    **dict.fromkeys(("cart", "add_to_cart", "add-to-cart", "addtocart", "atc", "basket"), "cart"),
    **dict.fromkeys(("order", "orders", "purchase", "buy", "conversion", "transaction"), "order"),
}
"""Word of an event column, lower case → event. "view" is left out: it may be either."""

_LOOSE = ("type", "action")
"""Names of an event column that mean something else in a log with a column of clicks."""

_COUNTS = ("impressions", "clicks", "carts", "orders")


@dataclass(frozen=True)
class Columns:
    """The column that plays each role.

    `of` maps roles of `ROLES` to columns of the log. `long` is true where each row is one event
    that the column `event` names; else each row counts impressions, clicks, carts and orders, and
    is one impression if there is no column of impressions.
    """

    of: Mapping[str, str]

    @property
    def long(self) -> bool:
        """Whether each row is one event."""
        return "event" in self.of

    @property
    def query(self) -> str:
        """The column that tells queries apart: ids, else the text."""
        return self.of["query_id"] if "query_id" in self.of else self.of["query"]

    @property
    def session(self) -> str | None:
        """The column that tells sessions apart, else users, else None."""
        return self.of.get("session_id") or self.of.get("user_id")


def choose_columns(
    found: Sequence[str], given: Mapping[str, str], *, where: str
) -> tuple[Columns, list[str]]:
    """Return the column of each role, and a line for each guess whose name is not the role's.

    Args:
        found: the log's columns.
        given: role → column, as asked for; the others are guessed from `ROLES`.
        where: the file, for messages.

    Raises:
        InputError: a role that does not exist.
        DataError: a column that was asked for is not there; no query, document, or click.
    """
    notes: list[str] = []
    chosen: dict[str, str] = {}
    for role, column in given.items():
        if role not in ROLES:
            raise InputError(f"unknown role {role!r}; expected one of {', '.join(ROLES)}")
        if column not in found:
            raise _missing(column, found, where, role)
        chosen[role] = column
    lower = {name.lower(): name for name in reversed(found)}
    counted = "clicks" in chosen or any(name in lower for name in ROLES["clicks"])
    for role, names in ROLES.items():
        if role in chosen or (role in _COUNTS and "event" in chosen):
            continue
        loose = _LOOSE if role == "event" and counted else ()
        guess = next((lower[n] for n in names if n in lower and n not in loose), None)
        if guess is not None and guess not in chosen.values():
            chosen[role] = guess
            if guess != role:
                notes.append(f"column {guess!r} is the {role}; choose with --column {role}=NAME")
    for role in ("doc_id", *(() if "query_id" in chosen or "query" in chosen else ("query_id",))):
        if role not in chosen:
            raise _missing(role, found, where, role)
    if "event" not in chosen and "clicks" not in chosen:
        raise _missing("event", found, where, "event")
    return Columns(chosen), notes


def _missing(column: str, found: Sequence[str], where: str, role: str) -> DataError:
    near = difflib.get_close_matches(column, found, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    either = " (or 'clicks' with counts)" if role == "event" and column == role else ""
    return DataError(
        f"expected a column {column!r}{either}, found {', '.join(map(repr, found)) or 'none'}",
        where=where,
        remedy=f"{hint}Choose the column with --column {role}=NAME.",
    )


def event_words(given: Mapping[str, str]) -> dict[str, str]:
    """Return word → event, the words of `given` before those of `EVENT_WORDS`.

    Args:
        given: word → one of `EVENTS`, or "ignore".

    Raises:
        InputError: another event.
    """
    for word, event in given.items():
        if event not in (*EVENTS, "ignore"):
            raise InputError(
                f"expected {word}=EVENT with one of {', '.join(EVENTS)}, ignore; found {event!r}"
            )
    return EVENT_WORDS | {word.lower(): event for word, event in given.items()}
