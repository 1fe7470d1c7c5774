"""Embeddings that were asked for lately, by what they are of."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

__all__ = ["VectorCache"]

Vector = npt.NDArray[np.float32]

_OVERHEAD = 256
"""Bytes of an entry beside its numbers, about."""


class VectorCache:
    """The vectors that were used last, by hash, in at most so many bytes; for several threads.

    The first vector of a hash stays: an embedding differs in its last bits with the batch that it
    was made in, and the pages of one query need the same one.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def get(self, key: bytes) -> Vector | None:
        """Return the vector of a hash, or None."""
        with self._lock:
            found = self._vectors.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._vectors.move_to_end(key)
            return found

    def keep(self, key: bytes, vector: Vector) -> Vector:
        """Keep a vector unless there is one of this hash, and return the one that is kept."""
        with self._lock:
            found = self._vectors.get(key)
            if found is not None:
                return found
            vector = vector.copy()
            vector.setflags(write=False)
            self._vectors[key] = vector
            self._size += vector.nbytes + _OVERHEAD
            while self._size > self._limit and self._vectors:
                _, old = self._vectors.popitem(last=False)
                self._size -= old.nbytes + _OVERHEAD
            return vector
