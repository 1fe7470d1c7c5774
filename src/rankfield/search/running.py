"""The best documents of each query while a corpus passes by."""

from __future__ import annotations

import threading

import torch

from rankfield.search.order import NOTHING, sort_rows, unpacked

__all__ = ["RunningBest"]

_BLOCK = 256


class RunningBest:
    """A buffer of keys for each query, cut back to the k best when it is full.

    Safe to add to from several threads. What it holds at the end depends on the keys alone, not
    on the order in which they came.

    threshold: float32 (Q,); a document below its query's is not needed, so far.
    """

    def __init__(self, threshold: torch.Tensor, k: int, room: int) -> None:
        """Make empty buffers.

        Args:
            threshold: float32 (Q,), where to start: −∞, or a good guess of the k-th similarity.
            k: how many documents a query gets.
            room: how many may be added for one query at once.
        """
        self.threshold = threshold
        self._k, self._width = k, k + room
        size = (len(threshold), self._width)
        self._keys = torch.full(size, NOTHING, device=threshold.device)
        self._filled = torch.zeros(len(threshold), dtype=torch.int64, device=threshold.device)
        self._offsets = torch.arange(len(threshold), device=threshold.device) * self._width
        self._lock = threading.Lock()

    def add(self, first: int, starts: torch.Tensor, keys: torch.Tensor) -> None:
        """Add keys[starts[i] : starts[i + 1]] to query ``first + i``."""
        counts = starts.diff()
        part = slice(first, first + len(counts))
        places = torch.arange(len(keys), device=keys.device)
        with self._lock:
            full = (self._filled[part] + counts > self._width).nonzero()[:, 0]
            for start in range(0, len(full), _BLOCK):
                self._cut_back(full[start : start + _BLOCK] + first)
            shift = self._offsets[part] + self._filled[part] - starts[:-1]
            places += shift.repeat_interleave(counts, output_size=len(keys))
            self._keys.view(-1)[places] = keys
            self._filled[part] += counts

    def best(self, first: int, last: int) -> torch.Tensor:
        """Return the k best keys of queries ``first : last``, in order; `NOTHING` past the end."""
        used = int(self._filled[first:last].max()) if last > first else 0
        return sort_rows(self._keys[first:last, : max(used, self._k)], self._k)

    def _cut_back(self, queries: torch.Tensor) -> None:
        best = sort_rows(self._keys[queries], self._k)
        self._keys[queries, : self._k] = best
        self._keys[queries, self._k :] = NOTHING
        self._filled[queries] = self._filled[queries].clamp_max(self._k)
        last, _ = unpacked(best[:, -1])  # −∞ while there are fewer than k
        self.threshold[queries] = torch.maximum(self.threshold[queries], last)
