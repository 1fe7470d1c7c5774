"""`/`: the search page, its files and its images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from rankfield.errors import RankfieldError
from rankfield.index.thumbnails import thumbnail
from rankfield.query.images import image_bytes
from rankfield.query.parts import MAX_ID
from rankfield.serving.bodies import check_pixels, json_body, json_response, service_of
from rankfield.serving.failures import Failure, failure_of
from rankfield.serving.page.access import page_needs
from rankfield.serving.page.address import PageQuery
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.search_view import found_values, shown_values
from rankfield.serving.page.templates import FILES, asset, rendered

__all__ = [
    "answered_page",
    "desk_of",
    "document_image",
    "files",
    "keep_image",
    "router",
    "search",
    "sent_image",
]

router = APIRouter(include_in_schema=False)
_read = Depends(page_needs("read"))

_HEADERS = {  # a page may load only what the service itself has
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def desk_of(request: Request) -> Desk:
    """Return what the pages of the service share."""
    desk: Desk = request.app.state.desk
    return desk


async def answered_page(
    request: Request,
    name: str,
    values: Callable[[], dict[str, Any]],
    instead: Callable[[str], dict[str, Any]],
) -> Response:
    """Return a page of the values that are found, or of those that say what was wrong.

    Args:
        request: whose page it is.
        name: of the template.
        values: finds them.
        instead: takes the message of what `values` raised, as clients may read it.
    """
    service = service_of(request)

    def work() -> tuple[dict[str, Any], int]:
        try:
            return values(), 200
        except (RankfieldError, Failure) as error:
            failure = failure_of(error, service.places)
        return instead(failure.message), failure.status

    found, status = await service.read(work)
    return Response(rendered(name, found).encode(), status, _HEADERS, media_type="text/html")


@router.get("/", dependencies=[_read])
async def search(request: Request) -> Response:
    """Show the search page."""
    desk, page = desk_of(request), PageQuery()

    def values() -> dict[str, Any]:
        nonlocal page
        page = PageQuery.of(request.query_params.multi_items())
        form = shown_values(desk, page)
        return form if page.is_empty else form | found_values(desk, page)

    def instead(message: str) -> dict[str, Any]:
        try:
            form = shown_values(desk, page)
        except Failure:  # an unknown index
            form = shown_values(desk, PageQuery())
        return form | {"error": message}

    return await answered_page(request, "search.html", values, instead)


@router.get("/page/files/{name}")
async def files(name: str) -> Response:
    """Return a style or a script."""
    if name not in FILES:
        raise Failure(404, "there is no such file", code="unknown_route")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset(name), headers=headers, media_type=FILES[name])


@router.get("/page/image", dependencies=[_read])
async def document_image(
    request: Request,
    id: Annotated[str, Query(max_length=MAX_ID)],
    index: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the small image of a document."""
    service, desk = service_of(request), desk_of(request)
    served = service.index(index)

    def work() -> bytes | None:
        return desk.thumbnails.of(served.current().index, id)

    found = await service.read(work)
    if found is None:
        raise Failure(404, "this document has no image", code="unknown_image")
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(found, headers=headers, media_type="image/webp")


@router.get("/page/sent", dependencies=[_read])
async def sent_image(request: Request, id: Annotated[str, Query(max_length=64)]) -> Response:
    """Return a small form of an image that was sent."""
    service, desk = service_of(request), desk_of(request)
    image = desk.image(id)
    if image is None:
        raise Failure(404, "this image is not here any more", code="unknown_image")
    made = await service.read(lambda: thumbnail(image))
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(made, headers=headers, media_type="image/webp")


@router.post("/page/image", dependencies=[_read])
async def keep_image(request: Request) -> Response:
    """Keep an image to search with, {"image": data URI}, and return its place in addresses."""
    service, desk = service_of(request), desk_of(request)
    body = await json_body(request)
    uri = body.get("image") if isinstance(body, dict) else None
    try:
        image = image_bytes(uri) if isinstance(uri, str) else None
    except ValueError as error:
        raise Failure(422, f"image: {error}", code="invalid_image", param="image") from None
    if not isinstance(image, bytes):
        raise Failure(422, "image: expected a data URI", code="invalid_image", param="image")
    check_pixels(iter([("image", image)]), service.limits)
    return json_response({"image": desk.keep_image(image)})
