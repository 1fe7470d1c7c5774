"""Requests made politely: a rate for each server, retries with backoff, a stop after failures."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from rankfield.closing import Closing
from rankfield.progress import Advance
from rankfield.web.limits import Limits
from rankfield.web.rate import RateLimit
from rankfield.web.request import Answer, Request, RequestError
from rankfield.web.request_log import RequestLog

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rankfield.web.client import Client

__all__ = ["Clock", "Fetcher", "ServerGivenUpError", "backoff_seconds"]

T = TypeVar("T")


class Clock(Protocol):
    """Time as the fetcher sees it."""

    def now(self) -> float:
        """Return seconds of a steady clock."""

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait, or return early when `stop` is set."""


class _SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)


class ServerGivenUpError(RequestError):
    """A server failed too often in a row, or asks to wait too long: it is left alone."""


class _Server:
    def __init__(self, limits: Limits) -> None:
        self.rate = RateLimit(limits.requests_per_second, limits.burst)
        self.failures = 0
        self.given_up: ServerGivenUpError | None = None


class Fetcher(Closing):
    """Makes requests within `limits` and logs every attempt. Threads may share it.

    A failure that may pass (no connection, timeout, 408, 425, 429, 5xx, an answer cut off) is tried
    again up to `retries` times, after `backoff_seconds` or what `Retry-After` asks for, which holds
    back all requests to that server.

    trusted: names of hosts that may be at private addresses, since the user named them.
    """

    def __init__(
        self,
        limits: Limits,
        log: RequestLog,
        *,
        trusted: frozenset[str] = frozenset(),
        client: Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        from rankfield.web.client import Client as RealClient

        self.limits = limits
        self.log = log
        self.clock: Clock = clock or _SystemClock()
        self._client = client or RealClient(limits, trusted, log.secrets)
        self._servers: dict[str, _Server] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def fetch(self, request: Request, parse: Callable[[Answer], T]) -> T:
        """Return what `parse` makes of the answer; its `RequestError` counts as the request's.

        Raises:
            ServerGivenUpError: this server failed `give_up_after` requests in a row.
            RequestError: the request failed for good, or as often as it may be tried.
        """
        server = self._server(request.server)
        for attempt in range(1, self.limits.retries + 2):
            self._wait_for(server)
            try:
                result = self._attempt(request, parse, attempt)
            except RequestError as error:
                if not error.passing and not request.refusal_counts:
                    server.failures = 0  # it answers, even if it refuses this one
                    raise
                if not error.passing or attempt > self.limits.retries:
                    self._failed(server, request, error)
                self._hold_back(server, request, error, attempt)
            else:
                server.failures = 0
                return result
        raise AssertionError  # pragma: no cover  the last attempt returns or raises

    def _attempt(self, request: Request, parse: Callable[[Answer], T], attempt: int) -> T:
        begun = self.clock.now()
        status: int | None = None
        size, outcome = 0, "ok"
        try:
            answer = self._client.send(request)
            status, size = answer.status, len(answer.body)
            return parse(answer)
        except RequestError as error:
            status, outcome = error.status or status, error.problem
            raise self._located(error, request) from None
        finally:
            self.log.write(
                request=request.key[:16],
                method=request.method,
                url=request.url,
                attempt=attempt,
                status=status,
                size=size,
                seconds=self.clock.now() - begun,
                outcome=outcome,
            )

    def _located(self, error: RequestError, request: Request) -> RequestError:
        """Return the error with the address, and without secrets."""
        return RequestError(
            self.log.secrets.hidden(error.problem),
            passing=error.passing,
            retry_after=error.retry_after,
            status=error.status,
            where=self.log.secrets.hidden(request.url),
            remedy=error.remedy,
        )

    def _server(self, name: str) -> _Server:
        with self._lock:
            return self._servers.setdefault(name, _Server(self.limits))

    def _wait_for(self, server: _Server) -> None:
        if server.given_up is None:
            self.clock.wait(server.rate.wait_time(self.clock.now()), self._stop)
        if self._stop.is_set():
            raise RequestError("stopped", passing=True)
        if server.given_up is not None:
            raise server.given_up

    def _hold_back(
        self, server: _Server, request: Request, error: RequestError, attempt: int
    ) -> None:
        if not error.retry_after:
            seconds = backoff_seconds(self.limits, request.key, attempt)
            self.clock.wait(seconds, self._stop)
            return
        if error.retry_after > self.limits.max_retry_after:
            self._give_up(
                server,
                request,
                f"the server asks to wait {error.retry_after:,.0f} s (Retry-After), longer than"
                f" limits.max_retry_after, {self.limits.max_retry_after:,.0f} s: {error.problem}",
            )
        server.rate.pause_until(self.clock.now() + error.retry_after)

    def _failed(self, server: _Server, request: Request, error: RequestError) -> None:
        server.failures += 1
        if server.failures >= self.limits.give_up_after:
            times = f"{server.failures} requests failed in a row"
            self._give_up(server, request, f"{times}, the last with: {error.problem}")
        raise error

    def _give_up(self, server: _Server, request: Request, problem: str) -> None:
        server.given_up = ServerGivenUpError(
            problem,
            passing=True,
            where=request.server,
            remedy="Nothing is lost: run the same command again when the server is back.",
        )
        raise server.given_up

    def each(
        self, work: Callable[[T], None], items: Iterable[T], advance: Advance | None = None
    ) -> None:
        """Call `work` on every item, `concurrency` at a time; the first error stops all and leaves.

        Requests that are on their way by then are waited for, not repeated.
        Only a few items are taken ahead of the work. `advance` is called after each.
        """
        from concurrent.futures import ThreadPoolExecutor

        pending: set[Future[None]] = set()
        with ThreadPoolExecutor(self.limits.concurrency) as pool:
            try:
                for item in items:
                    pending.add(pool.submit(work, item))
                    if len(pending) >= 2 * self.limits.concurrency:
                        pending = self._settle(pending, advance)
                while pending:
                    pending = self._settle(pending, advance)
            except BaseException:
                self._stop.set()
                # what is on its way may be paid for: its answer is still kept
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    @staticmethod
    def _settle(pending: set[Future[None]], advance: Advance | None) -> set[Future[None]]:
        from concurrent.futures import FIRST_COMPLETED, wait

        done, rest = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
            if advance is not None:
                advance(1)
        return rest

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def backoff_seconds(limits: Limits, key: str, attempt: int) -> float:
    """Return min(backoff · 2^(attempt − 1), max_backoff) · u, with ½ ≤ u < 1.

    u is drawn by key and attempt: it spreads the retries of many requests, and is the same in
    every run.
    """
    share = 0.5 + random.Random(f"{key} {attempt}").random() / 2
    longest = min(limits.backoff * 2.0 ** min(attempt - 1, 60), limits.max_backoff)
    return longest * share
