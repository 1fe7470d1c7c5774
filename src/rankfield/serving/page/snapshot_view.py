"""What the results page shows of one snapshot, and of two compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from rankfield.evaluation import Results, compare
from rankfield.serving.failures import Failure
from rankfield.serving.page.compare_address import Column, CompareQuery
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.neighbours import neighbours
from rankfield.serving.page.order import Order
from rankfield.serving.page.results_view import results_address
from rankfield.serving.page.snapshot_run import METRICS
from rankfield.serving.page.snapshot_store import SnapshotInputs, Summary

__all__ = ["compared_snapshots", "snapshot_values"]

_ROWS = 50

Row = dict[str, Any]


def snapshot_values(desk: Desk, first: str, metric: str, start: int) -> dict[str, Any]:
    """Return what a snapshot was taken of, its metrics, and its queries, the worst first.

    Raises:
        InputError: there is no such snapshot, or it is damaged.
    """
    results, summary = desk.snapshots().load(first), _summary(desk, first)
    frame = results.queries.drop_nulls(metric).sort(metric, maintain_order=True)
    shown = frame.slice(start, _ROWS)
    address = {"first": first, "metric": metric}
    rows = [
        {"title": row["title"], "values": [row[metric]], "address": None}
        for row in shown.iter_rows(named=True)
    ]
    return {
        "error": None,
        "one": {
            "summaries": [summary],
            "inputs": _inputs([summary]),
            "warnings": [],
            "metric": metric,
            "metrics": [
                {"name": name, "address": results_address(first=first, metric=name), "mean": mean}
                for name, mean in summary.means.items()
            ],
            "queries": rows,
            "left_out": results.queries.height - frame.height,
            **_pages(address, start, frame.height),
        },
    }


def compared_snapshots(
    desk: Desk, first: str, second: str, metric: str, *, start: int, best_first: bool
) -> dict[str, Any]:
    """Return two snapshots paired query by query, with interval and test for each metric.

    Where inputs differ that is said, and the queries that both have are paired.

    Raises:
        InputError: there is no such snapshot, or it is damaged.
        Failure: the two have no query in common.
    """
    store = desk.snapshots()
    pair = [store.load(first), store.load(second)]
    summaries = [_summary(desk, one) for one in (first, second)]
    queries = _paired(pair, metric)
    if not queries["common"]:
        raise Failure(
            422,
            "these snapshots have no query in common: there is nothing to pair",
            code="nothing_in_common",
        )
    frame: pl.DataFrame = queries["frame"].sort(
        "difference", descending=best_first, maintain_order=True
    )
    address = {"first": first, "second": second, "metric": metric}
    ordered = address | ({"order": "best"} if best_first else {})
    return {
        "error": None,
        "one": {
            "summaries": summaries,
            "inputs": _inputs(summaries),
            "warnings": _warnings(summaries, queries),
            "metric": metric,
            "metrics": _tests(pair, address),
            "queries": [
                {
                    "title": row["title"],
                    "values": [row["first"], row["second"]],
                    "difference": row["difference"],
                    "address": _side_by_side(desk, row["query_id"], summaries),
                }
                for row in frame.slice(start, _ROWS).iter_rows(named=True)
            ],
            "left_out": queries["common"] - frame.height,
            "best_first": best_first,
            "other_order": results_address(**address, order="" if best_first else "best"),
            "swapped": results_address(first=second, second=first, metric=metric),
            **_pages(ordered, start, frame.height),
        },
    }


def _summary(desk: Desk, snapshot: str) -> Summary:
    found = desk.snapshots().summary(snapshot)
    if found.inputs is None:
        raise Failure(
            422, f"the snapshot {snapshot} cannot be read: {found.problem}", code="damaged"
        )
    return found


def _paired(pair: Sequence[Results], metric: str) -> dict[str, Any]:
    """Return the queries that both have, where the metric is defined in both, and counts."""
    keys = [one.queries.select("query_id", "title", metric) for one in pair]
    joined = keys[0].join(keys[1], on="query_id", suffix="_second", maintain_order="left")
    frame = joined.select(
        "query_id",
        "title",
        first=pl.col(metric).cast(pl.Float64),
        second=pl.col(f"{metric}_second").cast(pl.Float64),
    ).drop_nulls(["first", "second"])
    return {
        "common": joined.height,
        "alone": [one.height - joined.height for one in keys],
        "frame": frame.with_columns(difference=pl.col("second") - pl.col("first")),
    }


def _tests(pair: Sequence[Results], address: dict[str, str]) -> list[Row]:
    """Return, for each metric, both means over paired queries, the difference and its test."""
    shared = pair[0].queries.join(pair[1].queries, on="query_id", how="semi")["query_id"].to_list()
    both = [
        replace(one, queries=one.queries.filter(pl.col("query_id").is_in(shared))) for one in pair
    ]
    tests = compare(both, metrics=METRICS, force=True).tests
    found = []
    for row in tests.iter_rows(named=True):
        frame = _paired(pair, row["metric"])["frame"]
        found.append(
            {
                **row,
                "name": row["metric"],
                "address": results_address(**{**address, "metric": row["metric"]}),
                "means": [frame["first"].mean(), frame["second"].mean()],
            }
        )
    return found


def _inputs(summaries: Sequence[Summary]) -> list[Row]:
    """Return name, value in each, and whether they differ."""
    sides = [_said(one) for one in summaries]
    return [
        {"name": name, "values": [side[name] for side in sides], "differs": differs}
        for name in sides[0]
        for differs in [len({side[name] for side in sides}) > 1]
    ]


def _said(summary: Summary) -> dict[str, str]:
    inputs = summary.inputs
    assert inputs is not None
    which = "judged ones" if inputs.only_graded else "all"
    return {
        "Taken": f"{inputs.time[:19].replace('T', ' ')} UTC, in {inputs.seconds:.1f} s",
        "Note": inputs.note or "–",
        "Index": inputs.index,
        "Settings": str(_order(inputs)) or "vectors alone",
        "Index version": inputs.index_version,
        "Model": inputs.model,
        "Model fingerprint": inputs.model_fingerprint,
        "Documents": inputs.data_fingerprint,
        "Queries": f"{inputs.asked:,} of {inputs.of:,}, {which}",
        "Query set": inputs.query_set,
        "Judgments": inputs.judgments,
        "Grades by raters": f"{inputs.by_raters:,}",
        "rankfield": summary.rankfield,
    }


def _order(inputs: SnapshotInputs) -> Order:
    return Order(inputs.hybrid, inputs.diversity)


def _warnings(summaries: Sequence[Summary], queries: dict[str, Any]) -> list[str]:
    first, second = (one.inputs for one in summaries)
    assert first is not None
    assert second is not None
    found = []
    if first.query_set != second.query_set:
        alone = queries["alone"]
        found.append(
            f"The query sets differ: {alone[0]:,} queries are only in the first, {alone[1]:,} only "
            f"in the second. All that is shown is of the {queries['common']:,} that both have."
        )
    if first.judgments != second.judgments:
        found.append(
            "The judgments differ: a difference may come from the grades and not from the ranking."
        )
    if first.data_fingerprint != second.data_fingerprint:
        found.append("The documents differ: the two indexes were built of different data.")
    if summaries[0].rankfield != summaries[1].rankfield:
        found.append("The versions of rankfield differ.")
    return found


def _side_by_side(desk: Desk, query_id: str, summaries: Sequence[Summary]) -> str | None:
    """Return the address that shows a query's results of both; None where an index is gone."""
    inputs = [one.inputs for one in summaries if one.inputs is not None]
    columns = tuple(Column(one.index, _order(one)) for one in inputs)
    if any(one.index not in desk.service.indexes for one in columns):
        return None
    return CompareQuery(query_id=query_id, columns=columns).address()


def _pages(address: dict[str, str], start: int, count: int) -> Row:
    return {
        "count": count,
        "start": start,
        "page": f"{start // _ROWS + 1} of {max(math.ceil(count / _ROWS), 1)}",
        **neighbours(start, _ROWS, count, lambda place: results_address(**address, start=place)),
    }
