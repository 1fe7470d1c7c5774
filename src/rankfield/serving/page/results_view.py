"""What the results page shows: all snapshots, and their metrics over time."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from rankfield.serving.page.desk import Desk
from rankfield.serving.page.line_plot import Value, line_plot
from rankfield.serving.page.snapshot_run import METRICS
from rankfield.serving.page.snapshot_store import SnapshotInputs, Summary

__all__ = ["listed_values", "results_address"]

_SHOWN, _PLOTTED, _SERIES = 200, 60, 6
_MAIN = ("nDCG@10", "ERR@10", "RBP@10", "Judged@10")


def listed_values(desk: Desk, metric: str) -> dict[str, Any]:
    """Return the snapshots, the newest first, and the plot of one metric.

    Raises:
        Failure: the service has no folder for snapshots.
    """
    found = desk.snapshots().summaries()
    return {
        "error": None,
        "one": None,
        "metric": metric,
        "metrics": [{"name": one, "address": results_address(metric=one)} for one in METRICS],
        "columns": [metric, *(one for one in _MAIN if one != metric)],
        "snapshots": [
            {"summary": one, "address": results_address(first=one.id, metric=metric)}
            for one in found[::-1][:_SHOWN]
        ],
        "count": len(found),
        "plot": _plot(found[-_PLOTTED:], metric),
        **_form(desk),
    }


def results_address(**values: object) -> str:
    """Return an address of the page; what is empty, and the usual metric, are left out."""
    usual = {"metric": METRICS[0]}
    kept = {name: one for name, one in values.items() if one and usual.get(name) != one}
    return "/results" + ("?" + urlencode(kept) if kept else "")


def _form(desk: Desk) -> dict[str, Any]:
    """Return what one chooses of a new snapshot, and the one that is being taken."""
    state = desk.job.state()
    return {
        "indexes": list(desk.service.indexes),
        "limit": desk.service.limits.snapshot,
        "job": state if state is not None and state["runs"] else None,
    }


def _plot(summaries: list[Summary], metric: str) -> dict[str, Any] | None:
    """Return the plot: a line for each way to answer, broken where inputs differ."""
    lines: dict[str, list[Value]] = {}
    before: dict[str, SnapshotInputs] = {}
    known = [one for one in summaries if one.inputs is not None and metric in one.means]
    for place, one in enumerate(known):
        mean, inputs = one.means[metric], one.inputs
        if mean.value is None or inputs is None:
            continue
        last = before.get(one.name)
        joined = last is not None and (last.query_set, last.judgments) == (
            inputs.query_set,
            inputs.judgments,
        )
        before[one.name] = inputs
        value = Value(place, mean.value, mean.low, mean.high, joined)
        lines.setdefault(one.name, []).append(value)
    names = list(lines)[-_SERIES:]
    plot = line_plot([lines[name] for name in names], len(known))
    if plot is None:
        return None
    times = [one.inputs.time[:16].replace("T", " ") for one in known if one.inputs is not None]
    return {
        "plot": plot,
        "names": names,
        "left_out": len(lines) - len(names),
        "from": times[0],
        "to": times[-1],
        "count": len(known),
    }
