"""One thread that does the work of many requests, what comes together in one call."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rankfield.closing import Closing

__all__ = ["BatchThread", "Lane"]


@dataclass(frozen=True, eq=False)
class Lane:
    """Work that may be done together.

    handle: returns one result for each of its items.
    most: items in one call; a single submission may have more.
    """

    handle: Callable[[list[Any]], Sequence[Any]]
    most: int = 64


@dataclass(frozen=True)
class _Waiting:
    items: list[Any]
    future: Future[list[Any]]
    since: float


class BatchThread(Closing):
    """A thread with lanes of waiting work; the lane of the oldest item comes next.

    What is in a lane when its turn comes is done in one call. While the thread is idle, a lane
    waits until its oldest item is `delay` seconds old, or `most` items are there, or every request
    in progress (`request`) waits already, so that nothing could join: a lone client never waits.

    Args:
        delay: seconds.
        name: of the thread.
    """

    def __init__(self, delay: float = 0.002, name: str = "rankfield-model") -> None:
        self._delay = delay
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[_Waiting]] = {}
        self._requests = self._waiting = 0
        self._closing = False
        self.batches = self.items = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as in progress, which may yet submit something."""
        with self._changed:
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1
                self._changed.notify()

    def submit(self, lane: Lane, items: Sequence[Any]) -> Future[list[Any]]:
        """Return the future results of items, in their order.

        An error is that of these items alone, never of others in the same call.

        Raises:
            RuntimeError: the thread was closed.
        """
        waiting = _Waiting(list(items), Future(), time.monotonic())
        with self._changed:
            if self._closing:
                raise RuntimeError("the thread was closed")
            self._lanes.setdefault(lane, deque()).append(waiting)
            self._waiting += 1
            self._changed.notify()
        return waiting.future

    def call(self, lane: Lane, items: Sequence[Any]) -> list[Any]:
        """Return the results of items; waits for them."""
        return self.submit(lane, items).result() if items else []

    def close(self) -> None:
        """Finish what was submitted, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            lane, waiting = batch
            _answer(lane, waiting)

    def _next(self) -> tuple[Lane, list[_Waiting]] | None:
        """Wait for work and take it; None at the end."""
        with self._changed:
            while True:
                while not self._lanes:
                    if self._closing:
                        return None
                    self._changed.wait()
                lane = min(self._lanes, key=lambda one: self._lanes[one][0].since)
                left = self._lanes[lane][0].since + self._delay - time.monotonic()
                if left <= 0 or self._closing or self._nothing_can_join(lane):
                    return lane, self._take(lane)
                self._changed.wait(left)

    def _nothing_can_join(self, lane: Lane) -> bool:
        ready = sum(len(waiting.items) for waiting in self._lanes[lane])
        return ready >= lane.most or self._waiting >= self._requests

    def _take(self, lane: Lane) -> list[_Waiting]:
        queue, count = self._lanes[lane], 0
        taken: list[_Waiting] = []
        while queue and (not taken or count + len(queue[0].items) <= lane.most):
            waiting = queue.popleft()
            count += len(waiting.items)
            taken.append(waiting)
        if not queue:
            del self._lanes[lane]
        self._waiting -= len(taken)
        self.batches += 1
        self.items += count
        return taken


def _answer(lane: Lane, waiting: list[_Waiting]) -> None:
    """Do the work of several submissions; where that fails, of each by itself."""
    waiting = [one for one in waiting if one.future.set_running_or_notify_cancel()]
    if not waiting:
        return
    items = [item for one in waiting for item in one.items]
    try:
        results = list(lane.handle(items))
        if len(results) != len(items):
            raise RuntimeError(f"expected {len(items)} results, found {len(results)}")
    except BaseException as error:
        if len(waiting) == 1:
            waiting[0].future.set_exception(error)
            return
        for one in waiting:
            _alone(lane, one)
        return
    start = 0
    for one in waiting:
        one.future.set_result(results[start : start + len(one.items)])
        start += len(one.items)


def _alone(lane: Lane, waiting: _Waiting) -> None:
    try:
        waiting.future.set_result(list(lane.handle(waiting.items)))
    except BaseException as error:
        waiting.future.set_exception(error)
