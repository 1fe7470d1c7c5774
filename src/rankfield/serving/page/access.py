"""Who may open a page: an API key as a browser can send it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

from fastapi import Request

from rankfield.serving.bodies import service_of
from rankfield.serving.failures import Failure
from rankfield.serving.keys import Scope

__all__ = ["page_needs"]


def page_needs(scope: Scope) -> Callable[..., Awaitable[None]]:
    """Return a dependency that refuses requests whose key does not allow `scope`.

    The key comes as a bearer token, or as the password that a browser asks for; any user name.
    """

    async def check(request: Request) -> None:
        keys = service_of(request).keys
        if keys and scope not in keys.scopes(_given(request.headers.get("authorization", ""))):
            raise Failure(
                401,
                f"expected an API key that may {scope}, as the password",
                code="invalid_api_key",
                headers={"WWW-Authenticate": 'Basic realm="rankfield", charset="UTF-8"'},
            )

    return check


def _given(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
