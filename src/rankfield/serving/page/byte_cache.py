"""What was used last, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["ByteCache"]


class ByteCache:
    """Keeps contents by their keys; those that were used longest ago go first.

    Args:
        limit: bytes of all contents together.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._found: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return what is kept, or None."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: Hashable, content: bytes) -> None:
        """Keep a content; one that is larger than the limit is not kept."""
        with self._lock:
            self._bytes -= len(self._found.pop(key, b""))
            if len(content) > self._limit:
                return
            self._found[key] = content
            self._bytes += len(content)
            while self._bytes > self._limit:
                self._bytes -= len(self._found.popitem(last=False)[1])
