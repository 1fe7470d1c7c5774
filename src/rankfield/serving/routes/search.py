"""`/v1/search`: queries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from rankfield.errors import RankfieldError
from rankfield.query import Answer, Query
from rankfield.serving.access import needs
from rankfield.serving.bodies import (
    check_query,
    json_body,
    json_response,
    query_values,
    service_of,
    take_name,
)
from rankfield.serving.failures import Failure, failure_of
from rankfield.serving.journal import QUERIES
from rankfield.serving.schemas import body_schema
from rankfield.serving.service import Service
from rankfield.serving.timestamp import timestamp

__all__ = ["batch", "router", "search"]

router = APIRouter(dependencies=[Depends(needs("read"))], tags=["search"])

_OWN = {
    "index": {"type": "string", "description": "Where there are several."},
    "query_id": {"type": "string", "maxLength": 200, "description": "Else one is made."},
}
_PARTS = {
    "description": "A text, a dictionary text → weight, or a list of texts and parts.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1},
        {"type": "array", "items": {"$ref": "#/components/schemas/Part"}, "minItems": 1},
    ],
}
_SEARCH = body_schema(Query, query=_PARTS, **_OWN)
_QUERY_SCHEMA = _SEARCH["requestBody"]["content"]["application/json"]["schema"]
_BATCH_SCHEMA = {
    "type": "object",
    "required": ["queries"],
    "additionalProperties": False,
    "properties": {
        "queries": {"type": "array", "items": _QUERY_SCHEMA, "minItems": 1},
        "index": _OWN["index"],
    },
}
_BATCH = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _BATCH_SCHEMA}},
    }
}


@router.post("/v1/search", openapi_extra=_SEARCH)
async def search(request: Request) -> Response:
    """Answer a query."""
    service = service_of(request)
    asked = _Asked.of(await json_body(request), service)
    return json_response(await service.read(lambda: asked.answered(service)))


@router.post("/v1/search/batch", openapi_extra=_BATCH)
async def batch(request: Request) -> Response:
    """Answer several queries; each has its answer or its own error, in their order."""
    service = service_of(request)
    body = await json_body(request)
    queries = body.get("queries") if isinstance(body, dict) else None
    if not isinstance(queries, list) or not queries or set(body) - {"queries", "index"}:
        raise Failure(
            422,
            'expected {"queries": […], "index": NAME}, with at least one query',
            code="invalid_value",
            param="queries",
        )
    if len(queries) > service.limits.queries:
        raise Failure(
            422,
            f"queries: at most {service.limits.queries}, found {len(queries)}",
            code="too_many_queries",
            param="queries",
        )
    answers = [service.read(_one(query, body.get("index"), service)) for query in queries]
    return json_response({"answers": await asyncio.gather(*answers)})


def _one(query: Any, index: Any, service: Service) -> Any:
    """Return what answers one query of a batch, or says its error."""

    def answered() -> dict[str, Any]:
        try:
            named = {"index": index} if index is not None else {}
            values = {**named, **query} if isinstance(query, Mapping) else query
            return _Asked.of(values, service).answered(service)
        except (RankfieldError, Failure) as error:
            return {"error": failure_of(error, service.places).value()}

    return answered


class _Asked:
    """A query, the index that it is for, and its id."""

    def __init__(self, query: Query, index: str, query_id: str) -> None:
        self.query, self.index, self.query_id = query, index, query_id

    @classmethod
    def of(cls, value: Any, service: Service) -> _Asked:
        """Read a query's JSON.

        Raises:
            InputError: as `Query.of`.
            Failure: an unknown index, or larger than the limits.
        """
        values = query_values(value)
        own = {key: take_name(values, key) for key in _OWN}
        index = service.index(own["index"])
        query = Query.of(values)
        check_query(query, service.limits)
        return cls(query, index.name, own["query_id"] or uuid4().hex)

    def answered(self, service: Service) -> dict[str, Any]:
        """Return the answer as JSON holds it.

        Raises:
            RankfieldError: as `Searcher.search`.
        """
        start = time.perf_counter()
        opened = service.index(self.index).current()
        answer = opened.searcher.search(self.query)
        if service.record_queries:
            service.needed_journal().append(QUERIES, [self._record(answer)])
        found = answer.to_json()
        times = found.pop("milliseconds")
        total = (time.perf_counter() - start) * 1000
        return {
            "query_id": self.query_id,
            "index": self.index,
            "model": opened.index.metadata.model,
            **found,
            "timings_ms": {
                "embed": times["embed"],
                "store": times["store"],
                "rescore": round(times["order"] + times["explain"], 3),
                "total": round(total, 3),
            },
        }

    def _record(self, answer: Answer) -> dict[str, Any]:
        """Return the query as UBI 1.3 keeps it."""
        texts = [part.text for part in self.query.parts if part.text and part.weight > 0]
        return {
            "query_id": self.query_id,
            "query_response_id": uuid4().hex,
            "user_query": " ".join(texts),
            "timestamp": timestamp(),
            "application": self.index,
            "query_response_hit_ids": [hit.doc_id for hit in answer.hits],
        }
