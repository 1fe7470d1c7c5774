"""`/grade`: judgments by key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from rankfield.query.parts import MAX_ID
from rankfield.serving.acts import Act
from rankfield.serving.bodies import json_body, json_response, service_of, settings_of
from rankfield.serving.failures import Failure
from rankfield.serving.journal import JUDGMENTS
from rankfield.serving.page.access import page_needs
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.grade_address import GradeAddress, SortName
from rankfield.serving.page.grade_view import asked_values, overview_values
from rankfield.serving.routes.page import answered_page, desk_of
from rankfield.serving.rules import RuleName
from rankfield.serving.timestamp import timestamp
from rankfield.settings import Settings

__all__ = [
    "FoundBy",
    "Given",
    "Taken",
    "give",
    "grade",
    "grade_address",
    "grading_page",
    "router",
    "take_back",
]

router = APIRouter(include_in_schema=False, dependencies=[Depends(page_needs("write"))])

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
_Rater = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]


class FoundBy(Settings):
    """Where a document was found."""

    index: _Id
    index_version: _Id
    model_fingerprint: _Id
    rank: int = Field(ge=1)


class Given(Settings):
    """A judgment of a rater; without a score: cannot say."""

    query_id: _Id
    doc_id: _Id
    score: float | None
    rater: _Rater
    query: Annotated[str, Field(max_length=10_000)]
    found_by: list[FoundBy] = Field(max_length=100)
    position: int = Field(ge=1)
    blind: bool


class Taken(Settings):
    """Whose last judgment is taken back."""

    rater: _Rater


def grade_address(
    *,
    rater: Annotated[str, Query(max_length=100)] = "",
    index: Annotated[str | None, Query(max_length=200)] = None,
    sort: SortName = "given",
    rule: RuleName = "mean",
    settled: Annotated[str, Query(max_length=100)] = "",
    k: Annotated[int, Query(ge=1, le=50)] = 10,
    blind: Literal["0", "1"] = "1",
) -> GradeAddress:
    """Return what an address says of how the pages for raters are shown."""
    return GradeAddress(
        rater=rater.strip(),
        index=index or None,
        sort=sort,
        rule=rule,
        settled=settled.strip() or None,
        k=k,
        blind=blind == "1",
    )


@router.get("/grade")
async def grade(
    request: Request,
    page: Annotated[GradeAddress, Depends(grade_address)],
    *,
    query: Annotated[str | None, Query(max_length=MAX_ID)] = None,
    doc: Annotated[str, Query(max_length=MAX_ID)] = "",
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """Show the queries, or one of them with the documents to judge."""

    def values(desk: Desk) -> dict[str, Any]:
        if query is None or not page.rater:
            asked = {} if query is None else {"query": query, "doc": doc}
            found = overview_values(desk, page, start)
            return {**found, "hidden": {**found["hidden"], **asked}}
        return asked_values(desk, page, query, doc)

    return await grading_page(request, "grade.html", page, values)


async def grading_page(
    request: Request,
    name: str,
    page: GradeAddress,
    values: Callable[[Desk], dict[str, Any]],
) -> Response:
    """Return a page for raters, or what was wrong."""
    desk = desk_of(request)

    def instead(message: str) -> dict[str, Any]:
        return {"page": page, "rater": page.rater, "error": message, "asked": None}

    return await answered_page(request, name, lambda: values(desk), instead)


@router.post("/grade/judgments")
async def give(request: Request) -> Response:
    """Keep a judgment; what is acknowledged is on the disk."""
    service = service_of(request)
    journal = service.needed_journal()
    given = settings_of(await json_body(request), Given)
    best = min(given.found_by, key=lambda one: one.rank, default=None)
    record = {
        **given.model_dump(exclude={"found_by"}),
        "verdict": "cannot_say" if given.score is None else "grade",
        **(best.model_dump() if best is not None else {}),
        "found_by": [one.model_dump() for one in given.found_by],
        "judgment_id": uuid4().hex,
        "time": timestamp(),
    }
    await service.write(lambda: journal.append(JUDGMENTS, [record]))
    return json_response({"judgment_id": record["judgment_id"]})


@router.post("/grade/undo")
async def take_back(request: Request) -> Response:
    """Take back the last judgment of a rater; what counted before counts again."""
    service, desk = service_of(request), desk_of(request)
    journal = service.needed_journal()
    rater = settings_of(await json_body(request), Taken).rater

    def write(last: Act, before: Act | None) -> None:
        record = {
            "query_id": last.query_id,
            "doc_id": last.doc_id,
            "score": before.score if before is not None else None,
            "rater": rater,
            "verdict": "undo",
            "undoes": last.judgment_id,
            "judgment_id": uuid4().hex,
            "time": timestamp(),
        }
        journal.append(JUDGMENTS, [record])

    last, before = await service.write(lambda: desk.grade_book().undo(rater, write))
    if last is None:
        raise Failure(404, "there is nothing to undo", code="nothing_to_undo")
    return json_response(
        {
            "query_id": last.query_id,
            "doc_id": last.doc_id,
            "judged": before is not None,
            "score": before.score if before is not None else None,
        }
    )
