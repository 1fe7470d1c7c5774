"""What a loss does with a tile of logits: the seam between the walk over tiles and the losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor

__all__ = ["LARGEST", "Places", "Side", "TileForm"]

LARGEST = 64.0
"""|x| up to which exp x, sums of it and products with their inverse are normal in float32."""

Places = tuple[Tensor, Tensor]
"""Rows and columns of the judged pairs of a tile."""


class Side(NamedTuple):
    """Of rows or columns: sums over all tiles, and the gradient by them."""

    sums: Tensor
    gradient: Tensor


class TileForm(ABC):
    """A function of the unjudged logits, summed over rows and over columns."""

    nothing: ClassVar[float]
    """The sum of nothing."""

    asks_bound: ClassVar[bool] = True
    """Whether `take` gains by knowing that the logits are bounded."""

    @abstractmethod
    def take(self, logits: Tensor, places: Places, bounded: bool) -> float | None:
        """Put the function's values in the place of r × c logits, and return their shift.

        Args:
            logits: r × c, overwritten.
            places: of the judged pairs, which add nothing.
            bounded: whether |Z| ≤ `LARGEST` is known.
        """

    @abstractmethod
    def again(self, logits: Tensor, shift: float | None) -> None:
        """Put the values of the unjudged logits in their place, as `take` did."""

    @abstractmethod
    def add(
        self, rows: Tensor | None, columns: Tensor | None, tile: Tensor, shift: float | None
    ) -> None:
        """Add a tile to running sums, in their (wider) type.

        Args:
            rows: of the tile's rows, changed in place, if they are needed.
            columns: of the tile's columns, likewise.
            tile: what `take` left.
            shift: what it returned.
        """

    @abstractmethod
    def gradient(
        self,
        tile: Tensor,
        shift: float | None,
        rows: Side | None,
        columns: Side | None,
        out: Tensor,
    ) -> Tensor:
        """Return the gradient by the unjudged logits in `out`; what it has for judged is no matter.

        Args:
            tile: r × c, what `take` or `again` left.
            shift: what `take` returned.
            rows: of the tile's rows, if their sums are needed.
            columns: of the tile's columns, if their sums are needed.
            out: r × c, other memory than the tile's.
        """

    @abstractmethod
    def combined(self, parts: Tensor) -> Tensor:
        """Return k sums from K × k of parts of what is summed, differentiably."""
