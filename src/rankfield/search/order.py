"""The canonical order, similarity descending and then document row, as one whole number."""

from __future__ import annotations

import numpy as np
import torch

from rankfield.search.hits import Hits

__all__ = ["MAX_ROWS", "NOTHING", "hits_of", "packed", "sort_rows", "unpacked"]

NOTHING = torch.iinfo(torch.int64).max
"""The key of an empty place: behind every document."""

MAX_ROWS = 2**32 - 1
"""How many documents a key can tell apart."""

_MAGNITUDE = 0x7FFFFFFF
_BLOCK = 256


def packed(scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return int64 keys that ascend in the canonical order.

    The upper half is the float32 score, made an integer that ascends as the score descends (the
    bits of a float ascend with its magnitude); the lower half is the row. −0 becomes 0.

    Args:
        scores: float32, not NaN.
        rows: int64 of the same shape, 0 ≤ row < `MAX_ROWS`.
    """
    bits = (scores + 0.0).view(torch.int32)
    ascending = bits ^ ((bits >> 31) & _MAGNITUDE)
    return ((~ascending).long() << 32) | rows


def unpacked(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the float32 scores and int64 rows of keys; −∞ and −1 of `NOTHING`."""
    ascending = ~(keys >> 32).int()
    scores = (ascending ^ ((ascending >> 31) & _MAGNITUDE)).view(torch.float32)
    empty = keys == NOTHING
    return scores.masked_fill(empty, -torch.inf), (keys & MAX_ROWS).masked_fill(empty, -1)


def sort_rows(keys: torch.Tensor, k: int) -> torch.Tensor:
    """Return the k smallest keys of each row of (Q, M), ascending: (Q, min(k, M))."""
    if keys.device.type != "cpu":
        return keys.sort(dim=1).values[:, :k].contiguous()
    best = torch.empty((len(keys), min(k, keys.shape[1])), dtype=torch.int64)
    for start in range(0, len(keys), _BLOCK):
        # numpy's sort of integers is vectorised, torch's is not.
        block = keys[start : start + _BLOCK].numpy()
        if 2 * k < block.shape[1]:
            block = np.partition(block, k - 1, axis=1)[:, :k]
        best[start : start + _BLOCK] = torch.from_numpy(np.sort(block, axis=1)[:, :k])
    return best


def hits_of(keys: torch.Tensor) -> Hits:
    """Return sorted keys (Q, k) as `Hits`."""
    scores, rows = unpacked(keys.cpu())
    return Hits(rows.numpy(), scores.numpy())
