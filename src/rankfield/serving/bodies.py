"""Bodies of requests: JSON, read strictly and within bounds; answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response

from rankfield.errors import RankfieldError
from rankfield.images import image_head
from rankfield.parsing import parse_json
from rankfield.query import Query
from rankfield.serving.failures import Failure
from rankfield.serving.limits import Limits
from rankfield.serving.service import Service
from rankfield.settings import Settings, check_settings
from rankfield.unicode_text import refuse_halves

__all__ = [
    "check_pixels",
    "check_query",
    "json_body",
    "json_response",
    "query_values",
    "service_of",
    "settings_of",
    "take_name",
]

S = TypeVar("S", bound=Settings)


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service


async def json_body(request: Request) -> Any:
    """Return what a body holds.

    Raises:
        Failure: it is not JSON (NaN and infinities are not), not UTF-8, nested too deep, or is
            said to be something else.
        RankfieldError: half of a surrogate pair in a text.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a page of another site can send any other kind
        raise Failure(
            415, "expected a body of the type application/json", code="unsupported_media_type"
        )
    data = b"".join([part async for part in request.stream()])
    try:
        text = data.decode()
        value = parse_json(text)
    except ValueError as error:
        raise Failure(400, f"not valid JSON ({error})", code="invalid_json") from None
    refuse_halves(text, value, where="request, body")
    return value


def settings_of(value: Any, model: type[S], where: str = "request") -> S:
    """Return a JSON object as `model`.

    Raises:
        Failure: it is no object.
        InputError: as `check_settings`.
    """
    if not isinstance(value, dict):
        raise Failure(
            422, f"expected a JSON object, found a {type(value).__name__}", code="invalid_value"
        )
    return check_settings(value, model, where=where)


def query_values(value: Any) -> dict[str, Any]:
    """Return a copy of what a query's JSON holds.

    Raises:
        Failure: it is no object, or has no "query".
    """
    if not isinstance(value, dict) or "query" not in value:
        raise Failure(
            422,
            'expected a JSON object with the key "query"',
            code="invalid_value",
            param="query",
        )
    return dict(value)


def take_name(values: dict[str, Any], key: str) -> str | None:
    """Remove a name or an id from a request's values and return it; None where there is none.

    Raises:
        Failure: it is no text of 1 to 200 characters.
    """
    text = values.pop(key, None)
    if text is not None and not (isinstance(text, str) and 0 < len(text) <= 200):
        raise Failure(422, f"{key}: expected a short text", code="invalid_value", param=key)
    return text


def json_response(value: Any, status: int = 200) -> Response:
    """Return an answer of JSON, without NaN."""
    data = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(data.encode(), status, media_type="application/json")


def check_pixels(images: Iterator[tuple[str, bytes]], limits: Limits) -> None:
    """Refuse images that are none or too large together, by their heads.

    Args:
        images: place in the request, bytes.
        limits: of the service.

    Raises:
        ImageError: no image in a known format.
        Failure: too many pixels.
    """
    total = 0
    for place, image in images:
        try:
            width, height, _ = image_head(image)
        except RankfieldError as error:
            raise type(error)(error.problem, where=f"request, {place}") from None
        total += width * height
        if total > limits.pixels:
            raise Failure(
                413,
                f"{place}: at most {limits.pixels:,} pixels of images in one request, found "
                f"{total:,}",
                code="too_many_pixels",
                param=place,
            )


def check_query(query: Query, limits: Limits) -> None:
    """Refuse a query that is larger than a service takes.

    Raises:
        Failure: too many parts, results or pixels.
        ImageError: an image that is none.
    """
    if (count := len(query.parts) + len(query.exclude)) > limits.parts:
        raise Failure(
            422,
            f"query: at most {limits.parts} parts with what is excluded, found {count}",
            code="too_many_parts",
            param="query",
        )
    deepest = max(query.offset + query.limit, query.candidates)
    if deepest > limits.results:
        raise Failure(
            422,
            f"limit: offset + limit and the window may be at most {limits.results:,}, found "
            f"{deepest:,}",
            code="too_many_results",
            param="limit",
        )
    check_pixels(_images(query), limits)


def _images(query: Query) -> Iterator[tuple[str, bytes]]:
    contents = [*((f"query.{i}", part) for i, part in enumerate(query.parts))]
    contents_excluded = [*((f"exclude.{i}", part) for i, part in enumerate(query.exclude))]
    for place, content in [*contents, *contents_excluded]:
        if content.image is not None:
            yield f"{place}.image", content.image
        for name, value in content.fields or ():
            if isinstance(value, bytes):
                yield f"{place}.fields.{name}", value
