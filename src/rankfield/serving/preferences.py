"""Which of the interleaved indexes the visitors of a service prefer."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.interleaving import Preference, click_credits, preference
from rankfield.serving.journal import EVENTS, INTERLEAVED, read_journal

__all__ = ["UNITS", "index_preferences"]

UNITS = ("query_id", "client_id", "session_id")


def index_preferences(
    folder: str | Path, *, actions: Collection[str] = ("click",), unit: str = "query_id"
) -> dict[tuple[str, str], Preference]:
    """Return for each two indexes that were interleaved which one got more clicks in more units.

    Args:
        folder: that the service kept (`--data`).
        actions: names of the events that count.
        unit: what is independent of what: "query_id" (each list), or "client_id", "session_id",
            where one visitor's lists belong together; lists without such an id stand alone.

    Raises:
        DataError: another unit, no interleaved lists, or a line that is not one of a service.
    """
    if unit not in UNITS:
        raise DataError(f"expected one of {', '.join(UNITS)}, found {unit!r}", where="unit")
    events = _events(Path(folder) / EVENTS, actions, unit)
    shown = _shown(Path(folder) / INTERLEAVED)
    owners = events.drop_nulls("unit").group_by("query_id").agg(pl.col("unit").first())
    shown = shown.join(owners, on="query_id", how="left", maintain_order="left")
    shown = shown.with_columns(pl.coalesce("unit", "query_id").alias("unit"))
    credits = click_credits(shown, events.filter("counts"), unit="unit")
    found = {}
    for first, second in combinations(sorted(shown["team"].unique()), 2):
        both = _of_both(credits, shown, first, second)
        if not both.is_empty():  # not every two of three indexes were interleaved
            found[first, second] = preference(both, first, second)
    return found


def _of_both(credits: pl.DataFrame, shown: pl.DataFrame, first: str, second: str) -> pl.DataFrame:
    """Return the credits in the units that saw both."""
    saw = shown.group_by("unit").agg(pl.col("team").unique())
    both = saw.filter(pl.col("team").list.contains(first) & pl.col("team").list.contains(second))
    return credits.join(both.select("unit"), on="unit", how="semi")


def _shown(path: Path) -> pl.DataFrame:
    """Return the lists, a row for each result; of a query that came again, the last one."""
    lists = dict(read_journal(path, "an interleaved list", _list))
    if not any(lists.values()):
        raise DataError(
            "no interleaved lists are kept",
            where=str(path),
            remedy="Ask POST /v1/interleave of a service with --data.",
        )
    rows = [(query, doc, team) for query, pairs in lists.items() for doc, team in pairs]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "team"], orient="row")


def _list(one: Any) -> tuple[str, list[tuple[str, str]]]:
    """Return the query's id, and document and team of each result, of a line."""
    pairs = zip(one["doc_ids"], one["teams"], strict=True)
    return str(one["query_id"]), [(str(doc), str(team)) for doc, team in pairs]


def _events(path: Path, actions: Collection[str], unit: str) -> pl.DataFrame:
    """Return `query_id`, `doc_id`, `unit`, and whether each event counts."""

    def row(one: Any) -> tuple[Any, ...]:
        known = (one.get("event_attributes") or {}).get("object") or {}
        counts = one.get("action_name") in actions
        return one.get("query_id"), known.get("object_id"), one.get(unit), counts

    rows = list(read_journal(path, "an event", row))
    schema = {
        "query_id": pl.String, "doc_id": pl.String, "unit": pl.String, "counts": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").drop_nulls("query_id")
