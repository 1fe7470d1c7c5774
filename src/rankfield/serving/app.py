"""The application: routes, guarded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from rankfield import __version__
from rankfield.errors import RankfieldError
from rankfield.serving.failures import Failure, failure_of, response_of
from rankfield.serving.guard import LOOPBACK, Guard
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.preparing import prepare
from rankfield.serving.routes import (
    agreement,
    compare,
    documents,
    embeddings,
    feedback,
    grade,
    interleave,
    page,
    results,
    search,
    state,
)
from rankfield.serving.schemas import add_schemas
from rankfield.serving.service import Service

__all__ = ["create_app"]

_ROUTERS = (
    search.router,
    interleave.router,
    documents.router,
    embeddings.router,
    feedback.router,
    state.router,
    page.router,
    grade.router,
    agreement.router,
    compare.router,
    results.router,
)


def create_app(service: Service, hosts: Iterable[str] = LOOPBACK) -> Guard:
    """Return the ASGI application of a service, which closes it at the end.

    Args:
        service: what it answers with.
        hosts: names that requests may give in their Host header, without the port.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(prepare, app.state.desk)
        yield
        service.close()

    app = FastAPI(
        title="rankfield",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service, app.state.desk = service, Desk(service)
    for router in _ROUTERS:
        app.include_router(router)
    _answer_failures(app, service)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = add_schemas(document)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return Guard(app, service, hosts)


def _answer_failures(app: FastAPI, service: Service) -> None:
    """Have every failure answered in the same form."""

    async def failed(_: Request, error: Exception) -> Response:
        if isinstance(error, RankfieldError | Failure):
            return response_of(failure_of(error, service.places))
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            param = str(first["loc"][-1])
            return response_of(
                Failure(422, f"{param}: {first['msg']}", code="invalid_value", param=param)
            )
        assert isinstance(error, HTTPException)
        codes = {404: "unknown_route", 405: "method_not_allowed"}
        return response_of(
            Failure(
                error.status_code,
                str(error.detail),
                code=codes.get(error.status_code, "http_error"),
                headers=error.headers,
            )
        )

    for kind in (Failure, RankfieldError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, failed)

    async def unexpected(_: Request, __: Exception) -> Response:
        return response_of(Failure(500, "an error of the service", code="internal"))

    app.add_exception_handler(Exception, unexpected)
