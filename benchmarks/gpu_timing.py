"""Time and memory of work on a device, which is asynchronous on a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["measured", "ratio"]


def measured(
    arms: dict[str, Callable[[], Any]], device: str, *, rounds: int = 5
) -> dict[str, dict[str, Any]]:
    """Return arm → median, least and largest milliseconds, and the MiB that it took at its peak.

    Arms take turns; what each does first is not timed. An arm that does not fit the memory has
    "does not fit" instead.
    """
    found: dict[str, dict[str, Any]] = {}
    times: dict[str, list[float]] = {}
    for arm, work in arms.items():
        try:
            found[arm] = {"arm": arm, "MiB": _peak(work, device)}
            times[arm] = []
        except torch.OutOfMemoryError:
            found[arm] = {"arm": arm, "does not fit": True}
            torch.cuda.empty_cache()
    for _ in range(rounds):
        for arm, rows in times.items():
            rows.append(_milliseconds(arms[arm], device))
    for arm, rows in times.items():
        found[arm] |= {
            "ms": round(statistics.median(rows), 3),
            "from": round(min(rows), 3),
            "to": round(max(rows), 3),
        }
    return found


def ratio(found: dict[str, dict[str, Any]], ours: str, peer: str) -> float | str:
    """Return how many times as fast ours is, where both were measured."""
    if "ms" in found.get(ours, {}) and "ms" in found.get(peer, {}):
        return round(float(found[peer]["ms"]) / float(found[ours]["ms"]), 2)
    return "–"


def _peak(work: Callable[[], Any], device: str) -> int | str:
    if device != "cuda":
        work()
        return "–"
    work()  # compiles kernels, makes handles
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return int((torch.cuda.max_memory_allocated() - before) / 2**20)


def _milliseconds(work: Callable[[], Any], device: str) -> float:
    if device != "cuda":
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    first.record()
    work()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last))
