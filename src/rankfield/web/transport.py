"""Connections to checked addresses, with a deadline that a slow drip cannot outlast."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

from rankfield.web.addresses import public_addresses

__all__ = ["GuardedTransport"]


class GuardedTransport(httpx2.BaseTransport):
    """A transport of httpx2 that connects to the address it has checked, not to the name.

    Certificates are still checked against the name. `start_attempt` begins the deadline of the
    requests that the calling thread makes next; each read and write gets what is left of it, so
    headers and bodies that arrive byte by byte end too. Proxies of the environment are not used:
    behind one, the address could not be checked. `trusted` names may be at private addresses.
    """

    def __init__(self, *, allow_private: bool, trusted: frozenset[str], connections: int) -> None:
        self._deadline = threading.local()
        self._pool = httpcore2.ConnectionPool(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=15.0,
            network_backend=_Backend(self._deadline, allow_private, trusted),
        )

    def start_attempt(self, seconds: float) -> None:
        """Let the calling thread's next request fail if it is not done in `seconds`."""
        self._deadline.end = time.monotonic() + seconds

    def is_late(self) -> bool:
        """Return whether the deadline of the calling thread's attempt is over."""
        return bool(time.monotonic() >= self._deadline.end)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; errors are those of httpcore2."""
        response = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore2.NetworkBackend):
    def __init__(
        self, deadline: threading.local, allow_private: bool, trusted: frozenset[str]
    ) -> None:
        self._inner = httpcore2.SyncBackend()
        self._deadline = deadline
        self._allow_private = allow_private
        self._trusted = trusted

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        private = self._allow_private or host in self._trusted
        addresses = public_addresses(host, port, allow_private=private)
        for place, address in enumerate(addresses):
            try:
                left = _left(self._deadline, timeout, httpcore2.ConnectTimeout)
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except httpcore2.ConnectError:
                if place == len(addresses) - 1:
                    raise
        raise httpcore2.ConnectError("no address")  # pragma: no cover  there is at least one


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, deadline: threading.local) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(self._deadline, timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: threading.local, timeout: float | None, late: type[Exception]) -> float:
    left: float = deadline.end - time.monotonic()
    if left <= 0:
        raise late("the deadline is over")
    return left if timeout is None else min(timeout, left)
