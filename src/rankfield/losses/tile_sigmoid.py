"""One tile of logits: the binary cross-entropies of its negatives, their sums, and the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses.softplus import softplus
from rankfield.losses.tile_form import Places, Side, TileForm

__all__ = ["SigmoidTile"]


class SigmoidTile(TileForm):
    """Σ softplus Z over the unjudged: a tile holds softplus Z, 0 for judged pairs."""

    nothing = 0.0
    asks_bound = False

    def take(self, logits: Tensor, places: Places, _bounded: bool) -> float | None:
        """Put softplus Z in the place of the logits; no exponent needs a shift."""
        self.again(logits, 0.0)
        logits[places] = 0.0
        return 0.0

    def again(self, logits: Tensor, _shift: float | None) -> None:
        """Put softplus Z in the place of the logits."""
        logits.copy_(softplus(logits))

    def add(
        self, rows: Tensor | None, columns: Tensor | None, tile: Tensor, _shift: float | None
    ) -> None:
        """Add a tile to running sums."""
        for sums, across in ((rows, 1), (columns, 0)):
            if sums is not None:
                sums.add_(tile.sum(across).to(sums.dtype))

    def gradient(
        self,
        tile: Tensor,
        _shift: float | None,
        rows: Side | None,
        columns: Side | None,
        out: Tensor,
    ) -> Tensor:
        """Return (a_i + b_j) · sigmoid Z_ij, with sigmoid Z = 1 − exp(−softplus Z)."""
        torch.neg(tile, out=out).expm1_()
        sides = ((rows, 1), (columns, 0))
        parts = [x.gradient.neg().unsqueeze(dim) for x, dim in sides if x is not None]
        return out.mul_(parts[0] if len(parts) == 1 else parts[0] + parts[1])

    def combined(self, parts: Tensor) -> Tensor:
        """Return the sums of parts."""
        return parts.sum(0)
