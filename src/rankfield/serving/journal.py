"""What clients report, in JSON Lines files: an acknowledged line is on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rankfield.closing import Closing
from rankfield.durable import sync
from rankfield.errors import DataError, OutputError
from rankfield.files import open_regular, refuse_others
from rankfield.outputs import storage_errors
from rankfield.parsing import parse_json
from rankfield.serving.batch_thread import BatchThread, Lane

__all__ = [
    "EVENTS",
    "INTERLEAVED",
    "JUDGMENTS",
    "QUERIES",
    "Journal",
    "read_journal",
    "whole_lines",
]

T = TypeVar("T")

JUDGMENTS = "judgments.jsonl"
EVENTS = "ubi/ubi_events.ndjson"
QUERIES = "ubi/ubi_queries.ndjson"
INTERLEAVED = "interleaved.jsonl"

_NAMES = (JUDGMENTS, EVENTS, QUERIES, INTERLEAVED)
_LOCK = "lock"
_BLOCK = 1 << 16


class Journal(Closing):
    """The files of a data folder, to which lines are added and never changed.

    Lines of several requests that come together are written and made durable in one step. A line
    that a crash cut off, which was never acknowledged, is removed when the folder is opened.

    Args:
        folder: made if it is missing.

    Raises:
        OutputError: another service has it, or it cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with storage_errors(self.folder):
            (self.folder / "ubi").mkdir(parents=True, exist_ok=True)
            self._lock = open_regular(str(self.folder / _LOCK), os.O_RDWR | os.O_CREAT)
            try:
                refuse_others(self._lock, self.folder)
                self._files = {name: self._open(name) for name in _NAMES}
                sync(self.folder / "ubi")
                sync(self.folder)
            except BaseException:
                os.close(self._lock)
                raise
        self._thread = BatchThread(delay=0.0, name="rankfield-journal")
        self._lanes = {name: Lane(self._writer(name), 10_000) for name in self._files}

    def append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Add records to a file; when this returns they are on the disk.

        Raises:
            OutputError: the disk is full or failed; then none of them is in the file.
        """
        lines = [json.dumps(one, allow_nan=False, separators=(",", ":")) for one in records]
        if lines:
            self._thread.call(self._lanes[name], ["\n".join(lines) + "\n"])

    def close(self) -> None:
        """Write what was accepted, and let another process have the folder."""
        self._thread.close()
        for descriptor in self._files.values():
            os.close(descriptor)
        os.close(self._lock)

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        descriptor = open_regular(str(self.folder / name), flags)
        end = os.fstat(descriptor).st_size
        whole = _end_of_lines(descriptor, end)
        if whole < end:
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        return descriptor

    def _writer(self, name: str) -> Any:
        def write(texts: list[str]) -> list[None]:
            descriptor = self._files[name]
            before = os.fstat(descriptor).st_size
            data = memoryview("".join(texts).encode())
            try:
                with storage_errors(self.folder / name):
                    while data:
                        data = data[os.write(descriptor, data) :]
                    os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, before)
                raise OutputError(f"cannot be written ({error.strerror})", where=name) from error
            except OutputError:
                os.ftruncate(descriptor, before)
                raise
            return [None] * len(texts)

        return write


def whole_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file, up to one without an end: it was never acknowledged."""
    for line in lines:
        if not line.endswith(b"\n"):
            return
        yield line


def read_journal(path: Path, expected: str, read: Callable[[Any], T]) -> Iterator[T]:
    """Yield what `read` makes of each acknowledged line of a file.

    Args:
        path: of the file.
        expected: what a line is, for messages: "a judgment".
        read: takes what the line's JSON holds.

    Raises:
        DataError: no such file; or a line that is not JSON, or of which `read` raises ValueError,
            KeyError, TypeError or AttributeError.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    with path.open("rb") as file:
        for number, line in enumerate(whole_lines(file), 1):
            try:
                found = read(parse_json(line.decode()))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"expected {expected}, found something else ({error})",
                    where=f"{path}, line {number}",
                ) from None
            yield found


def _end_of_lines(descriptor: int, end: int) -> int:
    """Return where the last whole line ends."""
    while end > 0:
        start = max(end - _BLOCK, 0)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
