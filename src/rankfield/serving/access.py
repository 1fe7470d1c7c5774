"""Who may use a route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from rankfield.serving.bodies import service_of
from rankfield.serving.failures import Failure
from rankfield.serving.keys import Scope

__all__ = ["needs"]

_BEARER = HTTPBearer(auto_error=False, description="An API key, if the service has any.")
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def needs(scope: Scope) -> Callable[..., Awaitable[None]]:
    """Return a dependency that refuses requests whose key does not allow `scope`."""

    async def check(request: Request, given: Given) -> None:
        keys = service_of(request).keys
        if not keys:
            return
        scopes = keys.scopes(given.credentials if given is not None else "")
        if not scopes:
            raise Failure(
                401,
                "expected an API key: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if scope not in scopes:
            raise Failure(403, f"this key may not {scope}", code="insufficient_scope")

    return check
