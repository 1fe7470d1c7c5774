"""Ctrl-C as a request: the step in hand ends first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

__all__ = ["StopRequest"]


class StopRequest:
    """Whether to stop after the step in hand; a second Ctrl-C stops at once.

    Args:
        accelerator: accelerate's, to ask the other processes.
    """

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator
        self._here = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C as a request while the block runs."""
        try:
            previous = signal.signal(signal.SIGINT, self._interrupted)
        except ValueError:  # not the main thread: interrupts go elsewhere
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def requested(self) -> bool:
        """Return whether any process was asked: an interrupt may reach them in different steps."""
        if self.accelerator.num_processes == 1:
            return self._here
        asked = torch.tensor(float(self._here), device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, "sum") > 0)

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._here:
            raise KeyboardInterrupt
        self._here = True
