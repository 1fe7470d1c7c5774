"""One tile of logits: its exponentials, the logarithms of their sums, and the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.tile_form import LARGEST, Places, Side, TileForm

__all__ = ["SoftmaxTile"]


class SoftmaxTile(TileForm):
    """log Σ exp Z over the unjudged: a tile holds exp(Z − t), 0 for judged pairs.

    One shift t for a whole tile takes one exponential for both directions. Where the unjudged
    logits are too far apart for it, t is None and the tile holds the logits, `NO_LOGIT` for judged
    pairs: a row or column far below the tile's maximum would underflow.
    """

    nothing = -torch.inf

    def take(self, logits: Tensor, places: Places, bounded: bool) -> float | None:
        """Put exp(Z − t) in the place of the logits and return t."""
        shift: float | None = 0.0
        if not bounded:
            logits[places] = 0.0
            low, high = torch.stack(logits.aminmax()).tolist()
            shift = (low + high) / 2 if high - low <= 2 * LARGEST else None
        self.again(logits, shift)
        logits[places] = NO_LOGIT if shift is None else 0.0
        return shift

    def again(self, logits: Tensor, shift: float | None) -> None:
        """Put exp(Z − t) in the place of the logits."""
        if shift is not None:
            (logits.sub_(shift) if shift else logits).exp_()

    def add(
        self, rows: Tensor | None, columns: Tensor | None, tile: Tensor, shift: float | None
    ) -> None:
        """Add a tile to running log-sum-exps."""
        for sums, across in ((rows, 1), (columns, 0)):
            if sums is None:
                continue
            if shift is None:
                more = tile.logsumexp(across).to(sums.dtype)
            else:
                more = tile.sum(across).to(sums.dtype).log_().add_(shift)
            torch.logaddexp(sums, more, out=sums)

    def gradient(
        self,
        tile: Tensor,
        shift: float | None,
        rows: Side | None,
        columns: Side | None,
        out: Tensor,
    ) -> Tensor:
        """Return a_i · exp(Z_ij − L_i) + b_j · exp(Z_ij − C_j); L, C: the log-sum-exps."""
        sides = [(side, dim) for side, dim in ((rows, 1), (columns, 0)) if side is not None]
        if shift is None:
            out.zero_()
            for side, dim in sides:
                log_sums = side.sums.to(tile.dtype).unsqueeze(dim)
                out += (tile - log_sums).exp_().mul_(side.gradient.unsqueeze(dim))
            return out
        factors = [_factors(side, shift).unsqueeze(dim) for side, dim in sides]
        factor = factors[0] if len(factors) == 1 else torch.add(*factors, out=out)
        return torch.mul(tile, factor, out=out)

    def combined(self, parts: Tensor) -> Tensor:
        """Return the log-sum-exps of parts."""
        return parts.logsumexp(0)


def _factors(side: Side, shift: float) -> Tensor:
    """Return what exp(Z − t) is multiplied by: gradient · exp(t − log-sum-exp)."""
    # Above the limit only where the tile has nothing of the row: the product is then 0.
    share = (shift - side.sums).clamp_(max=LARGEST).exp_()
    return share.to(side.gradient.dtype).mul_(side.gradient)
