"""Resident memory of this process, as Linux counts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["peak_beyond", "reset_peak", "resident"]


def peak_beyond(step: Callable[[], object]) -> float:
    """Return the MiB of the peak of a step beyond what is resident before it."""
    reset_peak()
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def reset_peak() -> None:
    """Have the kernel set the peak back to what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def resident(key: str) -> float:
    """Return a figure in MiB: "VmRSS", what is resident now, or "VmHWM", its peak."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(key))
