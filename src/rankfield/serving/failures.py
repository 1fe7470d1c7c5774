"""What a client is told when a request fails: OpenAI's form, without places of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from fastapi.responses import Response

from rankfield.errors import (
    DataError,
    ImageError,
    MissingExtraError,
    OutputError,
    RankfieldError,
)

__all__ = ["Failure", "failure_of", "response_of"]


class Failure(Exception):  # noqa: N818
    """An answer of a request that fails.

    Args:
        status: of HTTP.
        message: what was expected, what was found, what to do.
        code: a word for programs.
        param: the place in the request, as "query.0.text"; None if there is no single one.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def value(self) -> dict[str, str | None]:
        """Return message, type, param and code."""
        kind = _KINDS.get(self.status)
        if kind is None:
            kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"message": self.message, "type": kind, "param": self.param, "code": self.code}


_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def response_of(failure: Failure) -> Response:
    """Return the answer."""
    return Response(
        json.dumps({"error": failure.value()}).encode(),
        failure.status,
        failure.headers,
        media_type="application/json",
    )


def failure_of(error: RankfieldError | Failure, places: Mapping[str, str]) -> Failure:
    """Return what a client is told of an error.

    Args:
        error: whose `where` may name files of the server; a `Failure` is returned as it is.
        places: path → what to say instead.
    """
    if isinstance(error, Failure):
        return error
    message = _without(places, error.problem.rstrip("."))
    if error.remedy:
        message = f"{message}. {_without(places, error.remedy)}"
    param = _param(error)
    if param == "filter" and error.where.startswith("filter, "):  # says at which character
        message = f"{error.where}: {message}"
    elif param:
        message = f"{param}: {message}"
    if isinstance(error, OutputError):
        full = "full" in error.problem
        return Failure(
            507 if full else 503,
            message,
            code="storage_full" if full else "busy",
            headers={} if full else {"Retry-After": "1"},
        )
    if isinstance(error, ImageError):
        code = "invalid_image"
    elif isinstance(error, MissingExtraError):
        code = "not_available"
    else:
        code = "invalid_data" if isinstance(error, DataError) else "invalid_value"
    return Failure(422, message, code=code, param=param)


_PARAM = re.compile(r"[\w.\-\[\]^ ]{1,200}", re.ASCII)


def _param(error: RankfieldError) -> str | None:
    """Return the place in the request that an error names; None of a file or a model."""
    where = error.where.split(" (")[0]
    for head in ("query, ", "request, "):
        if where.startswith(head) and _PARAM.fullmatch(where[len(head) :]):
            return where[len(head) :]
    head = where.partition(",")[0]
    return head if head in ("query", "filter") else None


def _without(places: Mapping[str, str], text: str) -> str:
    for path, said in sorted(places.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(path, said)
    return text
