"""Logs of a service: JSON Lines, without what clients send but its size."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from rankfield.serving.timestamp import timestamp

__all__ = ["JsonLog", "route_library_logs"]


class JsonLog:
    """Writes one JSON object per line; control characters are escapes in it.

    Args:
        stream: standard error by default.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: str, **values: object) -> None:
        """Write an event with its values."""
        stream = self._stream or sys.stderr
        if stream is None:
            return
        time = timestamp()
        line = json.dumps({"time": time, "event": event, **values}, default=str) + "\n"
        with self._lock:
            stream.write(line)
            stream.flush()


class _Handler(logging.Handler):
    def __init__(self, log: Callable[..., Any]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write what a library says."""
        self._log(record.getMessage(), logger=record.name, level=record.levelname.lower())


def route_library_logs(log: JsonLog) -> None:
    """Have warnings of uvicorn written as lines of the same log."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [_Handler(log)] if name == "uvicorn" else []
        logger.propagate = name != "uvicorn"
        logger.setLevel(logging.WARNING)
