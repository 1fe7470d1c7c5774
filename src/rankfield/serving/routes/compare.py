"""`/compare`: one query, answered by two to four models or settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from rankfield.errors import RankfieldError
from rankfield.serving.failures import Failure
from rankfield.serving.page.access import page_needs
from rankfield.serving.page.compare_address import CompareQuery
from rankfield.serving.page.compare_view import compare_form, compared_values
from rankfield.serving.routes.page import answered_page, desk_of

__all__ = ["compare", "router"]

router = APIRouter(include_in_schema=False, dependencies=[Depends(page_needs("read"))])


@router.get("/compare")
async def compare(request: Request) -> Response:
    """Show what several models or settings find for one query."""
    desk, page = desk_of(request), CompareQuery()

    def values() -> dict[str, Any]:
        nonlocal page
        page = CompareQuery.of(request.query_params.multi_items())
        return compared_values(desk, page)

    def instead(message: str) -> dict[str, Any]:
        try:
            form = compare_form(desk, page)
        except (RankfieldError, Failure):  # an unknown index or query
            form = compare_form(desk, CompareQuery(page.words))
        return form | {"error": message}

    return await answered_page(request, "compare.html", values, instead)
