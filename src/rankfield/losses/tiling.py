"""The tiles of an m × n matrix of logits, and the judged pairs in each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Tile", "Tiling", "default_side"]

_SIDES = {"cpu": 2048}
_SIDE = 4096


@dataclass(frozen=True)
class Tile:
    """A part of the logits: which rows, which columns, and which positions of the sorted pairs."""

    rows: slice
    columns: slice
    pairs: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def size(self) -> int:
        """Number of logits."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class Tiling:
    """The tiles, row of tiles after row of tiles, and the pairs by tile.

    tiles: each once; those of the same rows follow each other by columns.
    order: int64 P, the pairs tile after tile; within a tile as they came.
    rows, columns: int64 P, the places of the sorted pairs within their tile.
    """

    tiles: list[Tile]
    order: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, shape: tuple[int, int], rows: Tensor, columns: Tensor, side: int) -> Tiling:
        """Return the tiling of m × n logits into tiles of at most side × side.

        Args:
            shape: m, n.
            rows: int64 P, the pairs' rows, 0 … m − 1.
            columns: int64 P, their columns, 0 … n − 1.
            side: ≥ 1.
        """
        high, wide = (-(-size // side) for size in shape)
        number = (rows // side) * wide + columns // side
        order = torch.argsort(number, stable=True)
        ends = torch.bincount(number, minlength=high * wide).cumsum(0).tolist()
        parts = [[slice(i, min(i + side, size)) for i in range(0, size, side)] for size in shape]
        starts, stops = iter([0, *ends]), iter(ends)
        tiles = [
            Tile(down, across, slice(next(starts), next(stops)))
            for down in parts[0]
            for across in parts[1]
        ]
        return cls(tiles, order, rows[order] % side, columns[order] % side)

    def places(self, tile: Tile) -> tuple[Tensor, Tensor]:
        """Return the rows and the columns of a tile's pairs within it."""
        return self.rows[tile.pairs], self.columns[tile.pairs]


def default_side(device: torch.device) -> int:
    """Return the side of a tile: on a CPU it fits the cache, elsewhere a launch must pay."""
    return _SIDES.get(device.type, _SIDE)
