"""`/v1/judgments` and `/v1/events`: what people said and did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AfterValidator, ConfigDict, Field

from rankfield.query.parts import MAX_ID, Text
from rankfield.serving.access import needs
from rankfield.serving.bodies import json_body, json_response, service_of, settings_of
from rankfield.serving.failures import Failure
from rankfield.serving.journal import EVENTS, JUDGMENTS, QUERIES
from rankfield.serving.schemas import body_schema
from rankfield.serving.timestamp import timestamp
from rankfield.settings import Settings

__all__ = [
    "Judgment",
    "Judgments",
    "UbiAttributes",
    "UbiEvent",
    "UbiLog",
    "UbiObject",
    "UbiPosition",
    "UbiQuery",
    "events",
    "judgments",
    "router",
]

router = APIRouter(dependencies=[Depends(needs("write"))], tags=["feedback"])

_MOST = 10_000


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _seen(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a text, found nothing that can be seen")
    return text


_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID), AfterValidator(_seen)]
_Time = Annotated[str, Field(max_length=64), AfterValidator(_moment)]


class Judgment(Settings):
    """How well a document answers a query.

    query_id, doc_id, score: on the scale of the data set that they are for.
    query: its text.
    rater: who says so.
    index, index_version, model_fingerprint, rank: where the document was seen.
    comment: for people.
    """

    query_id: _Id
    doc_id: _Id
    score: float
    query: Text | None = None
    rater: _Id | None = None
    index: _Id | None = None
    index_version: _Id | None = None
    model_fingerprint: _Id | None = None
    rank: int | None = Field(default=None, ge=1)
    comment: Annotated[str, Field(max_length=10_000)] | None = None


class Judgments(Settings):
    """Several judgments."""

    judgments: list[Judgment]


class UbiObject(Settings):
    """What was acted upon."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    object_id: _Id | None = None
    object_id_field: _Id | None = None


class UbiPosition(Settings):
    """Where it was."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    ordinal: int | None = Field(default=None, ge=0)


class UbiAttributes(Settings):
    """The attributes of an event."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    object: UbiObject | None = None
    position: UbiPosition | None = None


class UbiEvent(Settings):
    """An event of User Behavior Insights 1.3; further keys are kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    action_name: Annotated[str, Field(max_length=100), AfterValidator(_seen)]
    query_id: Annotated[str, Field(max_length=MAX_ID)] | None = None
    session_id: Annotated[str, Field(max_length=MAX_ID)] | None = None
    client_id: Annotated[str, Field(max_length=MAX_ID)] | None = None
    application: Annotated[str, Field(max_length=MAX_ID)] | None = None
    user_query: Annotated[str, Field(max_length=10_000)] | None = None
    timestamp: _Time | None = None
    event_attributes: UbiAttributes | None = None


class UbiQuery(Settings):
    """A query of User Behavior Insights 1.3; further keys are kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    query_id: _Id
    user_query: Text
    client_id: Annotated[str, Field(max_length=MAX_ID)] | None = None
    application: Annotated[str, Field(max_length=MAX_ID)] | None = None
    timestamp: _Time | None = None


class UbiLog(Settings):
    """Events, and the queries that they belong to."""

    events: list[UbiEvent] = Field(default_factory=list)
    queries: list[UbiQuery] = Field(default_factory=list)


@router.post("/v1/judgments", openapi_extra=body_schema(Judgments))
async def judgments(request: Request) -> Response:
    """Keep judgments; what is acknowledged is on the disk."""
    service = service_of(request)
    journal = service.needed_journal()
    values = settings_of(await json_body(request), Judgments).judgments
    _check_count(len(values), "judgments")
    time = timestamp()
    records = [
        {**one.model_dump(exclude_none=True), "judgment_id": uuid4().hex, "time": time}
        for one in values
    ]
    await service.write(lambda: journal.append(JUDGMENTS, records))
    return json_response({"kept": len(records), "ids": [one["judgment_id"] for one in records]})


@router.post("/v1/events", openapi_extra=body_schema(UbiLog))
async def events(request: Request) -> Response:
    """Keep events of UBI 1.3: one, a list of them, or {"events": […], "queries": […]}."""
    service = service_of(request)
    journal = service.needed_journal()
    body = await json_body(request)
    if isinstance(body, Mapping) and "action_name" in body:
        body = [body]
    if isinstance(body, list):
        body = {"events": body}
    log = settings_of(body, UbiLog)
    _check_count(len(log.events) + len(log.queries), "events")
    time = timestamp()

    def work() -> None:
        journal.append(QUERIES, [_record(one, time) for one in log.queries])
        journal.append(EVENTS, [_record(one, time) for one in log.events])

    await service.write(work)
    return json_response({"kept": len(log.events) + len(log.queries)})


def _record(one: UbiEvent | UbiQuery, time: str) -> dict[str, Any]:
    return {"timestamp": time, **one.model_dump(exclude_none=True)}


def _check_count(count: int, param: str) -> None:
    if not 0 < count <= _MOST:
        raise Failure(
            422,
            f"{param}: expected 1 to {_MOST:,}, found {count:,}",
            code="invalid_value",
            param=param,
        )
