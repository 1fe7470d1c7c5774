"""A journal of answers: one line each, on disk before work goes on, readable after any kill."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rankfield.closing import Closing
from rankfield.errors import DataError
from rankfield.files import no_follow, refuse_others
from rankfield.outputs import storage_errors
from rankfield.parsing import MAX_DEPTH, parse_json

__all__ = ["Journal"]

_T = TypeVar("_T")


class Journal(Closing):
    """Values by key, in a file that only grows (JSON Lines).

    `put` returns once the line is on the disk. A last line that a kill cut off is dropped when the
    file is opened again. Memory holds where each line stands, not what it says. Threads may share
    a journal; processes may not.

    opener: as of `open`; links are not followed by default.

    Raises:
        OutputError: another process has the journal open, or it cannot be written.
        DataError: a line before the last is damaged; says which.
    """

    def __init__(self, path: str | Path, *, opener: Callable[[str, int], int] = no_follow) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", opener=opener)  # noqa: SIM115
        try:
            refuse_others(self._file.fileno(), self.path)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        self._file.seek(0)
        place, damaged = 0, 0
        for number, line in enumerate(self._file, 1):
            if damaged:
                raise _damaged("the line is damaged", self.path, damaged)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError
                self._places[_entry(line)["key"]] = (place, len(line))
            except (ValueError, KeyError, TypeError):
                damaged = number
                continue
            place += len(line)
        self._file.truncate(place)
        self._end = place

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Any:
        """Return the value of `key`, or None."""
        if key not in self._places:
            return None
        with self._lock:
            place, size = self._places[key]
            self._file.seek(place)
            return _entry(self._file.read(size))["value"]

    def read(self, key: str, convert: Callable[[Any], _T]) -> _T | None:
        """Return what `convert` makes of the value of `key`, or None.

        Raises:
            DataError: `convert` takes the value for malformed (KeyError, TypeError, ValueError);
                says in which line.
        """
        if key not in self._places:
            return None
        try:
            return convert(self.get(key))
        except (KeyError, TypeError, ValueError):
            place, _ = self._places[key]
            with self._lock:
                self._file.seek(0)
                row = self._file.read(place).count(b"\n") + 1
            raise _damaged("the value in the line is malformed", self.path, row) from None

    def put(self, key: str, value: Any) -> None:
        """Keep a value; the last of a key counts.

        Raises:
            OutputError: the disk is full or refuses.
        """
        # ASCII, so that half a surrogate pair in an answer can be kept too
        line = json.dumps({"key": key, "value": value}).encode() + b"\n"
        with self._lock, storage_errors(self.path):
            try:
                self._file.seek(0, os.SEEK_END)
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._end)
                raise
            self._places[key] = (self._end, len(line))
            self._end += len(line)

    def close(self) -> None:
        """Close the file and let other processes open it."""
        self._file.close()


def _entry(line: bytes) -> dict[str, Any]:
    """Return a line's key and value.

    NaN is a value here: it stands in answers of servers that write it, as it came.

    Raises:
        ValueError, KeyError, TypeError: the line is damaged.
    """
    entry = parse_json(line, depth=MAX_DEPTH + 1, finite=False)
    if not isinstance(entry["key"], str) or "value" not in entry:
        raise ValueError
    return {"key": entry["key"], "value": entry["value"]}


def _damaged(problem: str, path: Path, row: int) -> DataError:
    return DataError(
        problem,
        where=f"{path}, row {row}",
        remedy="Remove that line; its request is then made again.",
    )
