"""Which of the interleaved indexes the visitors of a service prefer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.interleaving import Preference, click_credits, preference
from rankfield.parsing import parse_json
from rankfield.serving.journal import EVENTS, INTERLEAVED

__all__ = ["UNITS", "index_preferences"]

UNITS = ("query_id", "client_id", "session_id")


def index_preferences(
    folder: str | Path, *, actions: Collection[str] = ("click",), unit: str = "query_id"
) -> dict[tuple[str, str], Preference]:
    """Return for each pair of interleaved indexes which one got more clicks in more units.

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
    teams = sorted(shown["team"].unique())
    return {
        (first, second): preference(_of_both(credits, shown, first, second), first, second)
        for first, second in combinations(teams, 2)
    }


def _of_both(credits: pl.DataFrame, shown: pl.DataFrame, first: str, second: str) -> pl.DataFrame:
    """Return the credits in the units that saw both."""
    saw = shown.group_by("unit").agg(pl.col("team").unique())
    both = saw.filter(pl.col("team").list.contains(first) & pl.col("team").list.contains(second))
    return credits.join(both.select("unit"), on="unit", how="semi")


def _shown(path: Path) -> pl.DataFrame:
    """Return the lists, a row for each result; of a query that came again, the last one."""
    lists: dict[str, list[tuple[str, str]]] = {}
    for place, one in _lines(path):
        try:
            pairs = list(zip(one["doc_ids"], one["teams"], strict=True))
            lists[str(one["query_id"])] = [(str(doc), str(team)) for doc, team in pairs]
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(place, "an interleaved list", error) from None
    if not any(lists.values()):
        raise DataError(
            "no interleaved lists are kept",
            where=str(path),
            remedy="Ask POST /v1/interleave of a service with --data.",
        )
    rows = [(query, doc, team) for query, pairs in lists.items() for doc, team in pairs]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "team"], orient="row")


def _events(path: Path, actions: Collection[str], unit: str) -> pl.DataFrame:
    """Return `query_id`, `doc_id`, `unit`, and whether each event counts."""
    rows = []
    for place, one in _lines(path):
        try:
            known = (one.get("event_attributes") or {}).get("object") or {}
            counts = one.get("action_name") in actions
            rows.append((one.get("query_id"), known.get("object_id"), one.get(unit), counts))
        except AttributeError as error:
            raise _strange(place, "an event", error) from None
    schema = {
        "query_id": pl.String, "doc_id": pl.String, "unit": pl.String, "counts": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").drop_nulls("query_id")


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return  # cut off by a crash: it was never acknowledged
            place = f"{path}, line {number}"
            try:
                yield place, parse_json(line)
            except (ValueError, RecursionError) as error:
                raise _strange(place, "JSON", error) from None


def _strange(place: str, expected: str, error: Exception) -> DataError:
    return DataError(f"expected {expected}, found something else ({error})", where=place)
