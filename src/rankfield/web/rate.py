"""The rate at which requests go to one server."""

from __future__ import annotations

import threading

__all__ = ["RateLimit"]


class RateLimit:
    """A token bucket: at most rate · t + burst requests in any span of t seconds.

    Callers are told how long to wait before their request; each call is one request. Threads may
    share it.
    """

    def __init__(self, rate: float, burst: int = 1) -> None:
        self.interval = 1 / rate
        self.burst = burst
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait_time(self, now: float) -> float:
        """Return how many seconds after `now` (seconds of a steady clock) the request may go."""
        with self._lock:
            slot = max(self._next, now - (self.burst - 1) * self.interval)
            self._next = slot + self.interval
            return max(0.0, slot - now)

    def pause_until(self, then: float) -> None:
        """Let no request go before `then`: the server asked for it."""
        with self._lock:
            self._next = max(self._next, then)
