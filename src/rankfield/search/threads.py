"""One thread a core, each with whole tiles, instead of many threads inside every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["run_in_threads", "thread_count"]

Item = TypeVar("Item")


def thread_count(device: torch.device) -> int:
    """Return how many threads share the work: torch's own number, one for a GPU."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def run_in_threads(
    work: Callable[[Iterator[Item]], None], items: Iterable[Item], threads: int
) -> None:
    """Call `work` in each thread with one shared iterator, from which it takes its items.

    Meanwhile torch's operations use one thread each, so that nothing waits for a slower core
    between two operations, and numpy's, which know no threads, run side by side too.

    Raises:
        Exception: what `work` raised first, in the order of the threads.
    """
    shared = iter(items)
    if threads == 1:
        work(shared)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            running = [pool.submit(work, shared) for _ in range(threads)]
        for one in running:
            one.result()
    finally:
        torch.set_num_threads(threads)
