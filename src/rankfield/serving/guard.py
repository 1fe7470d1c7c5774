"""What stands before all routes: hosts, origins, sizes, times, the queue, headers, the log."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankfield.serving.failures import Failure, response_of
from rankfield.serving.service import Service

__all__ = ["LOOPBACK", "Guard"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine that every service answers to."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
)
_UNCOUNTED = ("/health", "/ready", "/metrics")
"""What is answered although the queue is full."""
_PAGES = ("/", "/agreement", "/compare", "/grade", "/results")
"""Whose addresses are shared: other sites may link to them."""
_CLOSE = {"Connection": "close"}


class Guard:
    """An ASGI application around another one.

    Args:
        app: the routes.
        service: whose limits hold.
        hosts: names that requests may give in their Host header, without the port.
    """

    def __init__(self, app: ASGIApp, service: Service, hosts: Iterable[str] = LOOPBACK) -> None:
        self._app, self._service = app, service
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._service)
        service, counted = self._service, scope["path"] not in _UNCOUNTED
        try:
            self._check(exchange, counted)
        except Failure as failure:
            await exchange.refuse(failure)
            exchange.finish()
            return
        service.in_progress += counted
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except (ClientDisconnect, asyncio.CancelledError):
            exchange.status = exchange.status or 499
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            service.log("failure", request_id=exchange.id, traceback=text)
            if not exchange.status:
                await exchange.refuse(Failure(500, "an error of the service", code="internal"))
        finally:
            service.in_progress -= counted
            exchange.finish()

    def _check(self, exchange: _Exchange, counted: bool) -> None:
        """Refuse what must not reach a route.

        Raises:
            Failure: says what.
        """
        limits = self._service.limits
        host = exchange.headers.get(b"host", b"").decode("latin-1").lower()
        if _without_port(host) not in self._hosts:  # a name that an attacker's DNS leads here
            raise Failure(
                400,
                "the Host header names another host: start the service with --allow-host NAME",
                code="unknown_host",
            )
        origin = exchange.headers.get(b"origin", b"").decode("latin-1").lower()
        foreign = exchange.headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
        if (foreign and not _opens_page(exchange)) or (origin and _host_of(origin) != host):
            raise Failure(403, "pages of other sites may not ask", code="foreign_origin")
        length = exchange.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > limits.body:
            raise _too_large(limits.body)
        if counted and self._service.in_progress >= limits.queue:
            raise Failure(
                429,
                f"{limits.queue} requests are in progress, try again",
                code="queue_full",
                headers={"Retry-After": "1"} | _CLOSE,
            )


def _opens_page(exchange: _Exchange) -> bool:
    """Return whether a person follows a link to a page, which changes nothing."""
    return (
        exchange.scope["method"] == "GET"
        and exchange.scope["path"] in _PAGES
        and exchange.headers.get(b"sec-fetch-mode") == b"navigate"
        and exchange.headers.get(b"sec-fetch-dest") == b"document"
    )


def _too_large(limit: int) -> Failure:
    """Return the failure of a body that is too large."""
    message = f"a body may have at most {limit:,} bytes"
    return Failure(413, message, code="body_too_large", headers=_CLOSE)


def _host_of(origin: str) -> str:
    """Return host and port of an origin; "" of what is none, such as null."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (name.endswith("]") or ":" not in name) else host


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, service: Service) -> None:
        self.scope, self.id, self.status = scope, uuid4().hex, 0
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive, self._send, self._service = receive, send, service
        self._start = time.perf_counter()
        self._bytes = 0
        self._ended = False

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            Failure: the body is too large, or too slow.
        """
        limits = self._service.limits
        if self._ended:
            return await self._receive()
        left = limits.receive - (time.perf_counter() - self._start)
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            raise Failure(
                408,
                f"the body did not come within {limits.receive:g} seconds",
                code="body_too_slow",
                headers=_CLOSE,
            ) from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > limits.body:
            raise _too_large(limits.body)
        self._ended = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers of all answers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name.lower() for name, _ in message["headers"]}  # those of pages are their own
            common = [pair for pair in _HEADERS if pair[0] not in own]
            headers = [*message["headers"], *common, (b"x-request-id", self.id.encode())]
            message = {**message, "headers": headers}
        try:
            await asyncio.wait_for(self._send(message), self._service.limits.receive)
        except TimeoutError:
            raise ClientDisconnect from None

    async def refuse(self, failure: Failure) -> None:
        """Answer with a failure."""
        await response_of(failure)(self.scope, self._receive, self.send)

    def finish(self) -> None:
        """Log and count the request, by its route and not by what the client sent."""
        seconds = time.perf_counter() - self._start
        route = getattr(self.scope.get("route"), "path", "unknown")
        method, status = self.scope["method"], self.status or 499
        self._service.measures.request(route, method, status, seconds)
        self._service.log(
            "request",
            request_id=self.id,
            method=method[:20],
            route=route,
            status=status,
            ms=round(seconds * 1000, 3),
            bytes=self._bytes,
        )
