"""What a service says of itself: indexes, health, measures."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response

from rankfield.serving.access import needs
from rankfield.serving.bodies import json_response, service_of
from rankfield.serving.failures import Failure
from rankfield.serving.served_index import ServedIndex
from rankfield.serving.service import Service

__all__ = ["health", "indexes", "metrics", "ready", "router"]

router = APIRouter(tags=["state"])


@router.get("/health")
async def health() -> Response:
    """Say that the process answers."""
    return json_response({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Say whether requests are taken: 503 once the service stops."""
    if not service_of(request).ready:
        raise Failure(503, "the service stops", code="not_ready", headers={"Retry-After": "5"})
    return json_response({"status": "ready"})


@router.get("/v1/indexes", dependencies=[Depends(needs("read"))])
async def indexes(request: Request) -> Response:
    """Describe the indexes."""
    service = service_of(request)

    def work() -> list[dict[str, Any]]:
        return [_described(index) for index in service.indexes.values()]

    return json_response({"indexes": await service.read(work)})


@router.get("/metrics", dependencies=[Depends(needs("read"))], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return counts as Prometheus reads them."""
    service = service_of(request)
    text = service.measures.text(_gauges(service))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _described(served: ServedIndex) -> dict[str, Any]:
    opened = served.current()
    index, metadata = opened.index, opened.index.metadata
    fields = {
        side: [{"name": f.name, "modality": f.modality, "weight": f.weight} for f in found]
        for side, found in (
            ("query", opened.model.current_fields("query")),
            ("document", opened.model.current_fields("document")),
        )
    }
    return {
        "name": served.name,
        "documents": len(index),
        "dimension": metadata.dimension,
        "index_version": index.version,
        "model": metadata.model,
        "model_fingerprint": metadata.model_fingerprint,
        "fields": fields,
        "columns": {name: str(kind) for name, kind in index.documents([]).schema.items()},
        "text_fields": metadata.text_fields,
        "built": metadata.built,
        "first_pass": metadata.first_pass,
        "recall": metadata.recall,
    }


def _gauges(service: Service) -> dict[str, float]:
    found: dict[str, float] = {
        "requests_in_progress": service.in_progress,
        "cache_hits_total": service.cache.hits,
        "cache_misses_total": service.cache.misses,
        "batches_total": service.thread.batches,
        "batched_items_total": service.thread.items,
        "index_reloads_total": sum(one.reloads for one in service.indexes.values()),
        "documents": sum(len(one.current().index) for one in service.indexes.values()),
    }
    return found
