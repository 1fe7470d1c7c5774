"""`/v1/documents`: what is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from rankfield.encoders import RankingModel
from rankfield.errors import DataError, ImageError
from rankfield.index.thumbnails import thumbnail
from rankfield.query.parts import MAX_ID
from rankfield.query.plain import plain_value
from rankfield.serving.access import needs
from rankfield.serving.bodies import (
    check_pixels,
    json_body,
    json_response,
    service_of,
    settings_of,
)
from rankfield.serving.embedder import Embedder
from rankfield.serving.failures import Failure
from rankfield.serving.records import document_images, read_documents, stored_frame
from rankfield.serving.schemas import body_schema
from rankfield.serving.service import Service
from rankfield.settings import Settings

__all__ = ["Deleted", "Written", "delete", "document", "router", "upsert"]

router = APIRouter(tags=["documents"])

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class Written(Settings):
    """Documents to write.

    documents: `doc_id`, the stored columns, and the model's fields; images as data URIs.
    index: where there are several.
    """

    documents: list[dict[str, Any]]
    index: _Name | None = None


class Deleted(Settings):
    """Ids of documents to delete."""

    ids: list[Annotated[str, Field(max_length=MAX_ID)]]
    index: _Name | None = None


@router.post(
    "/v1/documents", openapi_extra=body_schema(Written), dependencies=[Depends(needs("write"))]
)
async def upsert(request: Request) -> Response:
    """Write documents, in place of those with the same ids; what is acknowledged is on the disk."""
    service = service_of(request)
    written = settings_of(await json_body(request), Written)
    index = service.index(written.index)
    _check_count(service, len(written.documents), "documents")

    def work() -> str:
        opened = index.current()
        stored = opened.index.documents([]).schema
        documents = read_documents(written.documents, opened.model, stored)
        check_pixels(document_images(documents), service.limits)
        frame = stored_frame(documents, stored)

        def embed(embedder: Embedder) -> npt.NDArray[np.float32]:
            fields = [field.name for field in embedder.model.fields("document")]
            records = [{f: one[f] for f in fields if one.get(f)} for one in documents]
            try:
                return embedder.embed(records, "document")
            except (DataError, ImageError) as error:
                raise type(error)(error.problem, where="request, documents") from None

        return index.upsert(frame, embed, _thumbnails(documents, opened.model))

    version = await service.write(work)
    count = len(written.documents)
    return json_response({"index": index.name, "upserted": count, "index_version": version})


@router.delete(
    "/v1/documents", openapi_extra=body_schema(Deleted), dependencies=[Depends(needs("write"))]
)
async def delete(request: Request) -> Response:
    """Delete documents by id; unknown ids are passed over."""
    service = service_of(request)
    deleted = settings_of(await json_body(request), Deleted)
    index = service.index(deleted.index)
    _check_count(service, len(deleted.ids), "ids")
    count, version = await service.write(lambda: index.delete(deleted.ids))
    return json_response({"index": index.name, "deleted": count, "index_version": version})


@router.get("/v1/documents/{doc_id:path}", dependencies=[Depends(needs("read"))])
async def document(
    request: Request, doc_id: str, index: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Return the stored columns of a document."""
    service = service_of(request)
    served = service.index(index)

    def work() -> dict[str, Any]:
        opened = served.current()
        try:
            (row,) = opened.index.documents([doc_id]).iter_rows(named=True)
        except DataError:
            raise Failure(
                404, f"there is no document {doc_id[:200]!r}", code="unknown_document"
            ) from None
        values = {name: plain_value(value) for name, value in row.items() if name != "doc_id"}
        return {
            "index": served.name,
            "doc_id": doc_id,
            "document": values,
            "index_version": opened.index.version,
        }

    return json_response(await service.read(work))


def _thumbnails(
    documents: Sequence[Mapping[str, Any]], model: RankingModel
) -> list[bytes | None] | None:
    """Return small images of documents; None where the model takes no image."""
    fields = [field.name for field in model.fields("document") if field.modality == "image"]
    if not fields:
        return None

    def made(image: bytes | None) -> bytes:
        try:
            return thumbnail(image) if image else b""
        except ImageError:  # whose embedding says so
            return b""

    return [made(one.get(fields[0])) for one in documents]


def _check_count(service: Service, count: int, param: str) -> None:
    if not 0 < count <= service.limits.documents:
        raise Failure(
            422,
            f"{param}: expected 1 to {service.limits.documents:,}, found {count:,}",
            code="too_many_documents" if count else "invalid_value",
            param=param,
        )
