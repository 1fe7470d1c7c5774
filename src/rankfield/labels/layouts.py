"""Logs of known standards: which nested column plays which role, and what their events are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["LAYOUTS", "Layout", "recognise"]


@dataclass(frozen=True)
class Layout:
    """What is known of a standard's logs.

    name: for messages. signs: sets of columns; a log with all columns of one set is of this layout.
    columns: role → columns in order of preference, nested ones with dots.
    words: word of the event column, lower case → event or "ignore".
    absent: texts that stand for a missing value.
    query_rows: rows without an event hold a query's text for the events with its `list_id`.
    page: the column with a page's address: item events of a session's page without a query have
        that of an event with one on the same page.
    session_within_user: session ids are unique for a user only.
    """

    name: str
    signs: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]]
    words: Mapping[str, str]
    absent: tuple[str, ...] = ()
    query_rows: bool = False
    page: str | None = None
    session_within_user: bool = False


_UBI_OBJECT = "event_attributes.object.object_id"

_UBI = Layout(
    name="User Behavior Insights (UBI)",
    signs=(
        frozenset({"action_name", "event_attributes"}),
        frozenset({"action_name", "query_id", "object_id"}),
        frozenset({"action_name", _UBI_OBJECT}),
        frozenset({"user_query", "query_id", "query_response_id"}),
    ),
    columns={
        # one id for each issued query: the list, not the query that judgments go by
        "list_id": ("query_id",),
        "query": ("user_query",),
        "doc_id": (_UBI_OBJECT, "object_id"),
        "event": ("action_name",),
        "position": ("event_attributes.position.ordinal", "position"),
        "time": ("timestamp",),
        "session_id": ("session_id",),
        "user_id": ("client_id", "user_id"),
        "application": ("application",),
    },
    words={"watch": "ignore"},
    query_rows=True,
)

_GA4 = Layout(
    name="Google Analytics 4 (BigQuery export)",
    signs=(frozenset({"event_name", "event_timestamp", "event_params"}),),
    columns={
        "query": ("event_params.search_term",),
        "doc_id": ("items.item_id",),
        "event": ("event_name",),
        "position": ("items.item_list_index",),
        "time": ("event_timestamp",),
        "session_id": ("event_params.ga_session_id",),
        "user_id": ("user_pseudo_id", "user_id"),
    },
    words={
        **dict.fromkeys(("view_item", "view_promotion", "select_promotion"), "ignore"),
        **dict.fromkeys(("view_cart", "remove_from_cart", "add_to_wishlist"), "ignore"),
        **dict.fromkeys(("begin_checkout", "add_shipping_info", "add_payment_info"), "ignore"),
        **dict.fromkeys(("refund", "click", "view_search_results"), "ignore"),
    },
    absent=("(not set)", "(other)", "(data deleted)"),
    page="event_params.page_location",
    session_within_user=True,
)

LAYOUTS = (_UBI, _GA4)
"""The layouts that are recognised."""


def recognise(found: Sequence[str]) -> Layout | None:
    """Return the layout whose columns are among those found, or None.

    Args:
        found: the log's columns, of all its parts.
    """
    names = set(found)
    for layout in LAYOUTS:
        if any(signs <= names for signs in layout.signs):
            return layout
    return None
