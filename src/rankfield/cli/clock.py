"""Lines with the time since a command began, for commands of several long steps."""

from __future__ import annotations

import time
from collections.abc import Callable

from rankfield.terminal import echo

__all__ = ["clock"]


def clock() -> Callable[[str], None]:
    """Return a function that prints a text with the seconds since now in front."""
    started = time.monotonic()

    def say(text: str) -> None:
        echo(f"[{time.monotonic() - started:4.0f} s] {text}")

    return say
