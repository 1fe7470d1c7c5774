"""The server: listens once everything is loaded, and finishes what it accepted."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rankfield.errors import InputError, OutputError
from rankfield.serving.app import create_app
from rankfield.serving.guard import LOOPBACK
from rankfield.serving.logs import route_library_logs
from rankfield.serving.service import Service
from rankfield.serving.show import page_address, show
from rankfield.terminal import echo

__all__ = ["check_host", "serve"]

_CONNECTIONS = 1_000
_HEAD_BYTES = 1 << 16


def _is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, has_keys: bool, allow_open: bool) -> None:
    """Refuse a host that others reach without a key, unless that is allowed.

    Raises:
        InputError: says what to do.
    """
    if _is_loopback(host) or has_keys or allow_open:
        return
    raise InputError(
        f"others can reach {host!r}, and there is no API key",
        where="--host",
        remedy="Give keys (--keys FILE, or the variables RANKFIELD_READ_KEYS and "
        "RANKFIELD_WRITE_KEYS), or allow everything to everybody (--allow-open).",
    )


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    hosts: Sequence[str] = (),
    open_page: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; then answer what was accepted, and return.

    Args:
        service: opened; it is closed at the end.
        host, port: where to listen; port 0 takes a free one.
        hosts: further names that requests may give in their Host header.
        open_page: show the search page in the browser, once it is there.

    Raises:
        OutputError: the address cannot be listened at.
        DataError: the service's own queries do not fit a data set.
    """
    names = [*LOOPBACK, *hosts, f"[{host}]" if ":" in host else host]
    route_library_logs(service.log)
    try:
        app = create_app(service, names)
    except BaseException:
        service.close()
        raise
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_protocol(service.limits.receive),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=int(service.limits.timeout) + 30,
    )
    server = _Server(config, service, open_page)
    try:
        asyncio.run(server.serve())
    except SystemExit:
        raise OutputError(
            "cannot listen there; is the port in use?",
            where=f"{host}:{port}",
            remedy="Choose another one: --port N.",
        ) from None
    finally:
        service.close()


class _Server(uvicorn.Server):
    """Says where it listens, and takes signals as the end, not as a failure."""

    def __init__(self, config: uvicorn.Config, service: Service, open_page: bool) -> None:
        super().__init__(config)
        self._service, self._open_page = service, open_page

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        names = ", ".join(self._service.indexes)
        for server in self.servers:
            for socket in server.sockets:
                place, port = socket.getsockname()[:2]
                echo(f"serving {names} at {page_address(place, port)}")
                self._service.log("listening", host=place, port=port, indexes=names)
        if self._open_page and self.servers:
            show(*self.servers[0].sockets[0].getsockname()[:2])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop taking requests."""
        self._service.ready = False
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals meanwhile; the default of uvicorn raises them again at the end."""
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, self.handle_exit) for one in signals}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _protocol(seconds: float) -> type[H11Protocol]:
    """Return HTTP with a limit on how long the head of a request may take."""

    class Timed(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head = self.loop.call_later(seconds, self._too_slow)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._answering():
                self._disarm()
            elif self._head is None and not self.transport.is_closing():
                self._head = self.loop.call_later(seconds, self._too_slow)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._disarm()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _disarm(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _too_slow(self) -> None:
            self._head = None
            if not self._answering():
                self.transport.abort()

    return Timed
