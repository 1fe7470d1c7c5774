"""Where a function is applied to many parts: this machine's cores, or Ray on many machines."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from rankfield.errors import RankfieldError
from rankfield.extras import needs_extra

__all__ = ["Engine", "EngineName", "LocalEngine", "RayEngine", "make_engine"]

EngineName = Literal["local", "ray"]
A = TypeVar("A")
B = TypeVar("B")


class Engine(Protocol):
    """Applies a function to items; the results are the same, and in the same order, everywhere."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield function(item) of each item, in the order of the items.

        Items are taken as there is room: many of them need little memory. What the function
        raises is raised here.

        Args:
            function: of a module (or a `functools.partial` of one), without side effects.
            items: picklable, as are the results.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Threads: for work that is done outside Python's lock, in polars, Pillow or hashlib.

    workers: threads; one for each core if None.
    """

    workers: int | None = None

    @property
    def count(self) -> int:
        """How many threads there are."""
        return self.workers or os.cpu_count() or 1

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield function(item) of each item in order; few items more than threads are under way."""
        workers = self.count
        waiting: deque[Future[B]] = deque()
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(workers)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


@dataclass(frozen=True)
class RayEngine:
    """Ray Data: on the cluster that Ray finds (``RAY_ADDRESS``), or on this machine's cores.

    All machines read the same files: the data set's folder lies on storage that they share.

    window: items handed to Ray at a time, so that an endless row of items needs bounded memory.

    Raises:
        MissingExtraError: ray is not installed.
    """

    window: int = 256

    def __post_init__(self) -> None:
        _start_ray()

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield function(item) of each item, in the order of the items."""
        rest = iter(items)
        while window := list(islice(rest, self.window)):
            yield from _map_window(function, window)


def make_engine(name: EngineName) -> Engine:
    """Return the engine of a name.

    Raises:
        MissingExtraError: "ray", and ray is not installed.
    """
    return RayEngine() if name == "ray" else LocalEngine()


@dataclass(frozen=True)
class _Box:
    """An object that Ray Data must not take apart into columns."""

    value: Any


def _start_ray() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports home unless told not to
    with needs_extra("ray", "the engine ray needs the package ray"):
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    with _quiet():
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Ray keep its warnings about itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _map_window(function: Callable[[A], B], items: list[A]) -> Iterator[B]:
    import ray

    rows = [{"number": i, "item": _Box(item)} for i, item in enumerate(items)]
    with _quiet():
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(_Applied(function))
        results = iter(done.iter_rows())
    early: dict[int, Any] = {}
    following = 0
    for row in results:
        early[int(row["number"])] = row["result"].value
        while following in early:
            result = early.pop(following)
            following += 1
            if isinstance(result, RankfieldError):
                raise result
            yield result


@dataclass(frozen=True)
class _Applied:
    function: Callable[[Any], Any]

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            result = self.function(row["item"].value)
        except RankfieldError as error:
            result = error  # Ray would wrap it in an error of its own
        return {"number": row["number"], "result": _Box(result)}
