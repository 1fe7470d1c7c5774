"""A log of every attempt, without secrets."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from rankfield.closing import Closing
from rankfield.files import no_follow
from rankfield.outputs import storage_errors
from rankfield.web.secrets import NO_SECRETS, Secrets

__all__ = ["RequestLog"]

_LONGEST_LINE = 1 << 20


class RequestLog(Closing):
    """Appends one JSON object a line for each attempt, with what `write` is given and the time.

    `request` tells requests of one address apart: the beginning of the request's key.
    `secrets` never reach the file, wherever they turn up.

    opener: as of `open`; links are not followed by default.
    """

    def __init__(
        self,
        path: str | Path,
        secrets: Secrets = NO_SECRETS,
        *,
        opener: Callable[[str, int], int] = no_follow,
    ) -> None:
        self.path = Path(path)
        self.secrets = secrets
        self._lock = threading.Lock()
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", buffering=0, opener=opener)  # noqa: SIM115
            _drop_cut_line(self._file)

    def write(
        self,
        *,
        request: str,
        method: str,
        url: str,
        attempt: int,
        status: int | None,
        size: int,
        seconds: float,
        outcome: str,
    ) -> None:
        """Add a line."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "method": method,
            "url": self.secrets.hidden(url),
            "attempt": attempt,
            "status": status,
            "bytes": size,
            "seconds": round(seconds, 3),
            "outcome": self.secrets.hidden(outcome),
        }
        with self._lock, storage_errors(self.path):
            self._file.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _drop_cut_line(file: FileIO) -> None:
    """Remove the end of a last line that a kill cut off."""
    start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
    file.seek(start)
    file.truncate(start + file.read().rfind(b"\n") + 1)
