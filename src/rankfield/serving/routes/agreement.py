"""`/agreement`: how far raters agree, and what they disagree about."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from rankfield.serving.page.access import page_needs
from rankfield.serving.page.agreement_view import agreement_values
from rankfield.serving.page.grade_address import GradeAddress
from rankfield.serving.routes.grade import grade_address, grading_page

__all__ = ["agreement", "router"]

router = APIRouter(include_in_schema=False, dependencies=[Depends(page_needs("write"))])


@router.get("/agreement")
async def agreement(
    request: Request,
    page: Annotated[GradeAddress, Depends(grade_address)],
    *,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """Show kappa of each two raters, alpha of all, and the pairs with grades that differ."""
    return await grading_page(
        request, "agreement.html", page, lambda desk: agreement_values(desk, page, start)
    )
