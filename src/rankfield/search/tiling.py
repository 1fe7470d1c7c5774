"""How large the tiles of a search may be, so that it stays within its memory."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tiling", "tiling"]

_MOST_CANDIDATES = 2**17
_BYTES_PER_CANDIDATE = 72  # places, columns, rows, sums, errors, keys
_BYTES_PER_ELEMENT = 18  # a document in float32, its rounding, the difference, float64
_BYTES_PER_PRODUCT = 13  # float32, the mask, and the places of those that pass
_LARGEST = {"cpu": 1024, "cuda": 16384}


@dataclass(frozen=True)
class Tiling:
    """How much to do at once.

    documents: rows of a tile.
    queries: how many pass over the corpus together.
    candidates: how many pairs a thread scores exactly.
    sample: how many rows to guess from.
    """

    documents: int
    queries: int
    candidates: int
    sample: int


def tiling(
    memory_mib: int, queries: int, documents: int, width: int, k: int, *, threads: int, device: str
) -> Tiling:
    """Return the largest tiles, and the most queries, that fit `memory_mib`.

    Each thread holds a tile of documents and its products; every query holds its embedding and a
    buffer of k documents and a tile. More queries than fit take further passes over the corpus.
    """
    budget = memory_mib * 2**20
    tile = _LARGEST.get(device, 4096)
    candidates = min(_MOST_CANDIDATES, budget // (8 * threads * _BYTES_PER_CANDIDATE))
    while True:
        fixed = threads * (tile * width * _BYTES_PER_ELEMENT + candidates * _BYTES_PER_CANDIDATE)
        each = 16 * width + 8 * (k + max(k, tile)) + 24 * k + threads * tile * _BYTES_PER_PRODUCT
        fitting = (budget - fixed) // each
        if fitting >= queries or tile <= 16 or (fitting >= 1024 and tile <= 256):
            break
        tile //= 2
    sample = min(8192, documents // 8, budget // 8 // (width * _BYTES_PER_ELEMENT))
    return Tiling(tile, max(1, min(fitting, queries)), candidates, sample)
