"""Small logs as search engines and analytics write them, and what must come out of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ga4_rows", "ubi_events", "ubi_queries", "write_bulk", "write_lines"]

Row = dict[str, Any]


def ubi_queries() -> list[Row]:
    """Three issued queries, two of which are of one text."""
    texts = {"q1": "Red Shoe", "q2": "red  shoe", "q3": "hat"}
    return [
        {
            "application": "shop",
            "query_id": query_id,
            "client_id": "c1",
            "user_query": text,
            "query_attributes": {"group": {"name": text.split()[-1].lower()}},
            "query_response_id": f"r-{query_id}",
            "query_response_hit_ids": ["a", "b"],
            "timestamp": "2026-05-01T10:00:00.123Z",
        }
        for query_id, text in texts.items()
    ]


def ubi_events() -> list[Row]:
    """Two lists of "red shoe" in one session, in another order, and one of "hat"."""
    rows: list[Row] = []
    for number, (query_id, docs) in enumerate({"q1": "ab", "q2": "ba", "q3": "ab"}.items()):
        time = f"2026-05-01T10:0{number}:00.123Z"
        rows += [_ubi(query_id, "impression", doc, place, time) for place, doc in enumerate(docs)]
    rows.append(_ubi("q1", "click", "b", 1, "2026-05-01T10:00:09.001Z"))
    rows.append(_ubi("q2", "click", "b", 0, "2026-05-01T10:01:09.001Z"))
    rows.append(_ubi("q3", "click", "a", 0, "2026-05-01T10:02:09.001Z"))
    order = _ubi("", "purchase", "b", 0, "2026-05-01T10:01:30.001Z")
    del order["query_id"], order["event_attributes"]["position"]
    rows.append(order)
    rows.append(
        {
            "application": "help",
            "action_name": "page_exit",
            "client_id": "c1",
            "timestamp": "2026-05-01T10:05:00.001Z",
            "event_attributes": {"object": {"idle": 5}, "position": {}},
        }
    )
    return rows


def _ubi(query_id: str, action: str, doc: str, place: int, time: str) -> Row:
    return {
        "application": "shop",
        "action_name": action,
        "query_id": query_id,
        "session_id": "s1",
        "client_id": "c1",
        "timestamp": time,
        "message": None,
        "event_attributes": {
            "object": {"object_id": doc, "object_id_field": "sku"},
            "position": {"ordinal": place},
        },
    }


def ga4_rows() -> list[Row]:
    """Rows of Google Analytics' export: a search page, its list, a click, a cart, a purchase."""
    search, page = "https://shop.example/s?q=hat", "https://shop.example/p/b"
    listed = [("a", "1"), ("b", "2"), ("c", "(not set)")]
    return [
        _ga4("session_start", search, 0, {}, []),
        _ga4("view_search_results", search, 1, {"search_term": "Hat"}, []),
        _ga4("view_item_list", search, 2, {}, listed),
        _ga4("select_item", search, 30, {}, [("b", "2")]),
        _ga4("view_item", page, 31, {}, [("b", None)]),
        _ga4("add_to_cart", page, 60, {}, [("b", None)]),
        _ga4("purchase", "https://shop.example/paid", 90, {}, [("b", None), ("z", None)]),
    ]


def _ga4(
    name: str,
    page: str,
    second: int,
    params: dict[str, str],
    items: Sequence[tuple[str, str | None]],
) -> Row:
    texts = params | {"page_location": page}
    return {
        "event_date": "20260501",
        "event_timestamp": str(1_777_629_600_000_123 + second * 1_000_000),
        "event_name": name,
        "event_params": [
            {"key": "ga_session_id", "value": {"string_value": None, "int_value": "17"}},
            *(
                {"key": k, "value": {"string_value": v, "int_value": None}}
                for k, v in texts.items()
            ),
        ],
        "user_pseudo_id": "1.2",
        "items": [
            {"item_id": doc, "item_name": doc.upper(), "item_list_index": place}
            for doc, place in items
        ],
    }


def write_lines(path: Path, rows: Iterable[Row]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_bulk(path: Path, index: str, rows: Iterable[Row]) -> Path:
    """Append a bulk request: before each row a line that says which index it goes to."""
    with path.open("a") as file:
        for number, row in enumerate(rows):
            file.write(json.dumps({"index": {"_index": index, "_id": str(number)}}) + "\n")
            file.write(json.dumps(row) + "\n")
    return path
