"""`/compare`: one query, answered by two to four models or settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from rankfield.errors import RankfieldError
from rankfield.serving.bodies import service_of
from rankfield.serving.failures import Failure, failure_of
from rankfield.serving.page.access import page_needs
from rankfield.serving.page.compare_address import CompareQuery
from rankfield.serving.page.compare_view import compare_form, compared_values
from rankfield.serving.routes.page import desk_of, page_response

__all__ = ["compare", "router"]

router = APIRouter(include_in_schema=False, dependencies=[Depends(page_needs("read"))])


@router.get("/compare")
async def compare(request: Request) -> Response:
    """Show what several models or settings find for one query."""
    service, desk = service_of(request), desk_of(request)

    def work() -> tuple[dict[str, Any], int]:
        page = CompareQuery()
        try:
            page = CompareQuery.of(request.query_params.multi_items())
            return compared_values(desk, page), 200
        except (RankfieldError, Failure) as error:
            failure = failure_of(error, service.places)
        try:
            values = compare_form(desk, page)
        except (RankfieldError, Failure):  # an unknown index or query
            values = compare_form(desk, CompareQuery(page.words))
        return values | {"error": failure.message}, failure.status

    return page_response("compare.html", *await service.read(work))
