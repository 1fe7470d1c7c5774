"""`/results`: snapshots of a query set, over time and in pairs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from rankfield.serving.bodies import json_body, json_response, service_of, settings_of
from rankfield.serving.failures import Failure
from rankfield.serving.page.access import page_needs
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.order import Order
from rankfield.serving.page.results_view import listed_values
from rankfield.serving.page.snapshot_run import (
    METRICS,
    Snapshot,
    Taken,
    measured_snapshot,
    prepared_snapshot,
)
from rankfield.serving.page.snapshot_view import compared_snapshots, snapshot_values
from rankfield.serving.routes.page import answered_page, desk_of
from rankfield.settings import Settings

__all__ = ["Wanted", "progress", "results", "router", "take"]

router = APIRouter(include_in_schema=False)
_read, _write = Depends(page_needs("read")), Depends(page_needs("write"))

_Id = Annotated[str, Query(max_length=40)]


class Wanted(Settings):
    """A snapshot to take."""

    index: Annotated[str, Field(min_length=1, max_length=200)]
    hybrid: bool = False
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    queries: Literal["judged", "all"] = "judged"
    note: Annotated[str, Field(max_length=200)] = ""


@router.get("/results", dependencies=[_read])
async def results(
    request: Request,
    *,
    first: _Id = "",
    second: _Id = "",
    metric: Annotated[str, Query(max_length=20)] = METRICS[0],
    order: Literal["worst", "best", ""] = "worst",
    start: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Response:
    """Show all snapshots, one of them, or two compared."""
    desk = desk_of(request)

    def values() -> dict[str, Any]:
        if metric not in METRICS:
            message = f"metric: expected one of {', '.join(METRICS)}, found {metric!r}"
            raise Failure(422, message, code="invalid_value", param="metric")
        if first and second:
            best = order == "best"
            return compared_snapshots(desk, first, second, metric, start=start, best_first=best)
        if first or second:
            return snapshot_values(desk, first or second, metric, start)
        return listed_values(desk, metric)

    def instead(message: str) -> dict[str, Any]:
        return {"error": message, "one": None}

    return await answered_page(request, "results.html", values, instead)


@router.post("/results/snapshots", dependencies=[_write])
async def take(request: Request) -> Response:
    """Begin a snapshot, which goes on when this has answered; one at a time."""
    service, desk = service_of(request), desk_of(request)
    wanted = settings_of(await json_body(request), Wanted)
    store = desk.snapshots()
    if len(store.ids()) >= service.limits.snapshots:
        raise Failure(
            409,
            f"there are {service.limits.snapshots:,} snapshots: move some out of the folder",
            code="too_many_snapshots",
        )
    snapshot = Snapshot(
        wanted.index,
        Order(wanted.hybrid, wanted.diversity),
        wanted.queries == "judged",
        wanted.note.strip(),
    )
    taken = await service.read(lambda: prepared_snapshot(desk, snapshot))
    job = desk.job.begin(len(taken.chosen))
    running = asyncio.ensure_future(service.write(lambda: desk.job.run(_work(desk, taken))))
    _running.add(running)
    running.add_done_callback(_running.discard)
    return json_response({"job": job, "queries": len(taken.chosen), "of": taken.of}, 202)


@router.get("/results/job", dependencies=[_read])
async def progress(request: Request) -> Response:
    """Say how far the last snapshot is."""
    state = desk_of(request).job.state()
    if state is None:
        raise Failure(404, "no snapshot was begun", code="unknown_job")
    return json_response(state)


_running: set[asyncio.Future[None]] = set()
"""What is not waited for must be held, or it may be collected."""


def _work(desk: Desk, taken: Taken) -> Callable[[Callable[[int], None]], str]:
    def work(told: Callable[[int], None]) -> str:
        return desk.snapshots().add(measured_snapshot(desk, taken, told), taken.grades)

    return work
