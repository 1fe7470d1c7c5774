"""One tile of logits: its exponentials, their sums, and the gradient by the logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rankfield.losses.judged_lists import NO_LOGIT

__all__ = [
    "LARGEST",
    "Places",
    "Side",
    "add_log_sums",
    "exponentials_",
    "exponentiate_",
    "logit_gradient",
]

LARGEST = 64.0
"""|x| up to which exp x, sums of it and products with their inverse are normal in float32."""

Places = tuple[Tensor, Tensor]
"""Rows and columns of the judged pairs of a tile."""


class Side(NamedTuple):
    """Of the tile's rows or columns: log-sum-exps over all tiles, and the gradient by them."""

    log_sums: Tensor
    gradient: Tensor


def exponentials_(logits: Tensor, places: Places, bounded: bool) -> float | None:
    """Put exp(Z − t), 0 for judged pairs, in the place of the logits, and return t.

    One t for a whole tile takes one exponential for both directions. If the unjudged logits are
    too far apart for it, the logits stay, `NO_LOGIT` for judged pairs, and the result is None: a
    row or column far below the tile's maximum would underflow.

    Args:
        logits: r × c, overwritten.
        places: of the judged pairs.
        bounded: whether |Z| ≤ `LARGEST` is known: t is 0 then.
    """
    shift: float | None = 0.0
    if not bounded:
        logits[places] = 0.0
        low, high = torch.stack(logits.aminmax()).tolist()
        shift = (low + high) / 2 if high - low <= 2 * LARGEST else None
    if shift is None:
        logits[places] = NO_LOGIT
        return None
    exponentiate_(logits, shift)
    logits[places] = 0.0
    return shift


def exponentiate_(logits: Tensor, shift: float) -> Tensor:
    """Put exp(Z − t) in the place of the logits."""
    return (logits.sub_(shift) if shift else logits).exp_()


def add_log_sums(log_sums: Tensor, tile: Tensor, shift: float | None, across: int) -> None:
    """Add a tile to running log-sum-exps, in their (wider) type.

    Args:
        log_sums: of the tile's rows or columns, changed in place.
        tile: what `exponentials_` left.
        shift: what it returned.
        across: the dimension to sum over: 1 for rows, 0 for columns.
    """
    if shift is None:
        more = tile.logsumexp(across).to(log_sums.dtype)
    else:
        more = tile.sum(across).to(log_sums.dtype).log_().add_(shift)
    torch.logaddexp(log_sums, more, out=log_sums)


def logit_gradient(
    tile: Tensor, shift: float | None, rows: Side | None, columns: Side | None, out: Tensor
) -> Tensor:
    """Return a_i · exp(Z_ij − L_i) + b_j · exp(Z_ij − C_j), written to `out`.

    Args:
        tile: r × c, exp(Z − t), or Z where `shift` is None.
        shift: t.
        rows: L and a; None: a = 0.
        columns: C and b; None: b = 0.
        out: r × c, other memory than the tile's.
    """
    sides = [(side, dim) for side, dim in ((rows, 1), (columns, 0)) if side is not None]
    if shift is None:
        out.zero_()
        for side, dim in sides:
            log_sums = side.log_sums.to(tile.dtype).unsqueeze(dim)
            out += (tile - log_sums).exp_().mul_(side.gradient.unsqueeze(dim))
        return out
    factors = [_factors(side, shift).unsqueeze(dim) for side, dim in sides]
    factor = factors[0] if len(factors) == 1 else torch.add(*factors, out=out)
    return torch.mul(tile, factor, out=out)


def _factors(side: Side, shift: float) -> Tensor:
    """Return what exp(Z − t) is multiplied by: gradient · exp(t − log-sum-exp)."""
    # Above the limit only where the tile has nothing of the row: the product is then 0.
    share = (shift - side.log_sums).clamp_(max=LARGEST).exp_()
    return share.to(side.gradient.dtype).mul_(side.gradient)
