"""`/v1/interleave`: one list of the results of two or more indexes, to learn which is preferred."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from rankfield.evaluation.interleaving import team_draft
from rankfield.query import Query
from rankfield.serving.access import needs
from rankfield.serving.bodies import (
    check_query,
    json_body,
    json_response,
    query_values,
    service_of,
    take_name,
)
from rankfield.serving.failures import Failure
from rankfield.serving.journal import INTERLEAVED
from rankfield.serving.schemas import body_schema
from rankfield.serving.service import Service
from rankfield.serving.timestamp import timestamp

__all__ = ["interleave", "router"]

router = APIRouter(dependencies=[Depends(needs("read"))], tags=["interleaving"])

_OWN = {
    "indexes": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "description": "Whose results are interleaved; by default all.",
    },
    "query_id": {"type": "string", "maxLength": 200, "description": "Else one is made."},
}
_MOST = 8


@router.post("/v1/interleave", openapi_extra=body_schema(Query, **_OWN))
async def interleave(request: Request) -> Response:
    """Answer a query by a list of several indexes' results; the same id gives the same list.

    Which index gave which result is kept beside the events, and not told.
    """
    service = service_of(request)
    service.needed_journal()
    values = query_values(await json_body(request))
    names, query_id = _names(values.pop("indexes", None), service), take_name(values, "query_id")
    query = Query.of(values)
    if query.cursor is not None or query.offset or query.facets:
        raise _invalid("an interleaved list has one page and no facets", "query")
    check_query(query, service.limits)
    found = await service.read(lambda: _answered(query, names, query_id or uuid4().hex, service))
    return json_response(found)


def _names(given: Any, service: Service) -> list[str]:
    names = list(service.indexes) if given is None else given
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not texts or not 2 <= len(set(names)) == len(names) <= _MOST:
        raise _invalid(f"indexes: expected 2 to {_MOST} different names of indexes", "indexes")
    return [service.index(name).name for name in names]


def _answered(query: Query, names: list[str], query_id: str, service: Service) -> dict[str, Any]:
    answers = {name: service.index(name).current().searcher.search(query) for name in names}
    rankings = {name: [hit.doc_id for hit in found.hits] for name, found in answers.items()}
    seed = int.from_bytes(hashlib.sha256(query_id.encode()).digest()[:8], "little")
    drawn = team_draft(rankings, query.limit, np.random.default_rng(seed))
    record = {
        "query_id": query_id,
        "timestamp": timestamp(),
        "doc_ids": drawn.doc_ids,
        "teams": drawn.teams,
        "index_versions": {name: found.index_version for name, found in answers.items()},
    }
    service.needed_journal().append(INTERLEAVED, [record])
    documents = {
        (name, hit["doc_id"]): hit["document"]
        for name, found in answers.items()
        for hit in found.to_json()["hits"]
    }
    hits = [
        {"rank": rank, "doc_id": doc_id, "document": documents[team, doc_id]}
        for rank, (doc_id, team) in enumerate(zip(drawn.doc_ids, drawn.teams, strict=True), 1)
    ]
    return {"query_id": query_id, "indexes": names, "hits": hits}


def _invalid(problem: str, param: str) -> Failure:
    return Failure(422, problem, code="invalid_value", param=param)
