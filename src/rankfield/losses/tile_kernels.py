"""Triton kernels over a tile of logits: sums by row and by column in one pass, and the gradient.

The products of embeddings around them are the device's library's: a kernel of our own would have to
hold a tile of logits and a row of all dimensions at once. Each kernel reads a tile once. Sums have
the exact maximum of each row and column of a block, and go to a partial result of each block; no
atomic operations, so that the same input gives the same bits.
"""

# Triton has no types, and its kernels no keywords.
# ruff: noqa: PLR0917
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, misc"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["add_up", "gradient"]

_SIDE = tl.constexpr(64)
_LENGTH = tl.constexpr(256)
_JUDGED = tl.constexpr(-1e30)  # `NO_LOGIT`
_BELOW = tl.constexpr(-1e29)  # only what is judged


@triton.jit
def _log1p(x):
    """Return log(1 + x) within rounding, x ≥ 0 (Kahan)."""
    one_more = 1.0 + x
    small = one_more == 1.0
    return tl.where(small, x, tl.log(one_more) * (x / tl.where(small, 1.0, one_more - 1.0)))


@triton.jit
def _block(tile, scale, rows, columns):
    """Return the rows, the columns and the logits of this program's block."""
    down, across = tl.arange(0, _SIDE), tl.arange(0, _SIDE)
    r, c = tl.program_id(0) * _SIDE + down, tl.program_id(1) * _SIDE + across
    inside = (r[:, None] < rows) & (c[None, :] < columns)
    # One wide number a block, and narrow ones within it: registers are what limits a block.
    start = tl.program_id(0).to(tl.int64) * _SIDE * columns + tl.program_id(1) * _SIDE
    places = down[:, None] * columns + across[None, :]
    products = tl.load(tile + start + places, mask=inside, other=_JUDGED)
    logits = tl.where(products < _BELOW, _JUDGED, products * tl.load(scale))
    return r, c, start, places, inside, logits


@triton.jit
def _sums(
    tile,
    scale,
    of_rows,
    of_columns,
    rows,
    columns,
    softmax: tl.constexpr,
    by_row: tl.constexpr,
    by_column: tl.constexpr,
):
    r, c, _, _, _, logits = _block(tile, scale, rows, columns)
    if softmax:
        if by_row:
            top = tl.max(logits, 1)
            found = top + tl.log(tl.sum(tl.exp(logits - top[:, None]), 1))
            tl.store(of_rows + tl.program_id(1) * rows + r, found, mask=r < rows)
        if by_column:
            top = tl.max(logits, 0)
            found = top + tl.log(tl.sum(tl.exp(logits - top[None, :]), 0))
            tl.store(of_columns + tl.program_id(0) * columns + c, found, mask=c < columns)
    else:
        costs = tl.maximum(logits, 0.0) + _log1p(tl.exp(-tl.abs(logits)))
        if by_row:
            tl.store(of_rows + tl.program_id(1) * rows + r, tl.sum(costs, 1), mask=r < rows)
        if by_column:
            found = tl.sum(costs, 0)
            tl.store(of_columns + tl.program_id(0) * columns + c, found, mask=c < columns)


@triton.jit
def _fold(parts, sums, number, length, softmax: tl.constexpr):
    """Add `number` rows of parts to running sums, which are wider."""
    k = tl.program_id(0) * _LENGTH + tl.arange(0, _LENGTH)
    inside = k < length
    before = tl.load(sums + k, mask=inside, other=0.0)
    if softmax:
        top = tl.full([_LENGTH], float("-inf"), tl.float32)
        for part in range(number):
            more = tl.load(parts + part * length + k, mask=inside, other=0.0)
            top = tl.maximum(top, more)
        total = tl.zeros([_LENGTH], tl.float32)
        for part in range(number):
            more = tl.load(parts + part * length + k, mask=inside, other=0.0)
            total += tl.exp(more - top)
        found = (top + tl.log(total)).to(before.dtype)
        high, low = tl.maximum(before, found), tl.minimum(before, found)
        # The first sum is added to log 0.
        apart = tl.where(low == float("-inf"), float("-inf"), low - high)
        after = high + _log1p(tl.exp(apart.to(tl.float32))).to(before.dtype)
    else:
        after = before
        for part in range(number):
            more = tl.load(parts + part * length + k, mask=inside, other=0.0)
            after += more.to(before.dtype)
    tl.store(sums + k, after, mask=inside)


@triton.jit
def _gradient(
    tile,
    scale,
    out,
    row_sums,
    row_gradients,
    column_sums,
    column_gradients,
    rows,
    columns,
    softmax: tl.constexpr,
    by_row: tl.constexpr,
    by_column: tl.constexpr,
):
    r, c, start, places, inside, logits = _block(tile, scale, rows, columns)
    found = tl.zeros([_SIDE, _SIDE], tl.float32)
    if by_row:
        of_row = tl.load(row_gradients + r, mask=r < rows, other=0.0)[:, None]
        if softmax:
            top = tl.load(row_sums + r, mask=r < rows, other=0.0).to(tl.float32)[:, None]
            found += of_row * tl.exp(tl.minimum(logits - top, 0.0))
        else:
            found += of_row
    if by_column:
        of_column = tl.load(column_gradients + c, mask=c < columns, other=0.0)[None, :]
        if softmax:
            top = tl.load(column_sums + c, mask=c < columns, other=0.0).to(tl.float32)[None, :]
            found += of_column * tl.exp(tl.minimum(logits - top, 0.0))
        else:
            found += of_column
    if not softmax:
        share = tl.exp(-tl.abs(logits))
        found *= tl.where(logits >= 0, 1.0, share) / (1.0 + share)
    tl.store(out + start + places, found.to(out.dtype.element_ty), mask=inside)


def add_up(
    tile: Tensor, scale: Tensor, rows: Tensor | None, columns: Tensor | None, *, softmax: bool
) -> None:
    """Add a tile to running sums by row and by column, those that are there.

    Args:
        tile: r × c, float32, contiguous: logits divided by the scale; −10³⁰ adds nothing.
        scale: of one element.
        rows: r, float32 or float64, changed in place: log Σ exp Z, or Σ softplus Z.
        columns: c, of the same type, likewise.
        softmax: which of the two.
    """
    r, c = tile.shape
    high, wide = triton.cdiv(r, _SIDE.value), triton.cdiv(c, _SIDE.value)
    parts = [
        tile.new_empty((number, length) if sums is not None else (1, 1))
        for sums, number, length in ((rows, wide, r), (columns, high, c))
    ]
    by_row, by_column = rows is not None, columns is not None
    with torch.cuda.device_of(tile):  # which need not be the current one
        _sums[(high, wide)](tile, scale, *parts, r, c, softmax, by_row, by_column, num_warps=8)
        for sums, part in zip((rows, columns), parts, strict=True):
            if sums is not None:
                number, length = part.shape
                _fold[(triton.cdiv(length, _LENGTH.value),)](part, sums, number, length, softmax)


def gradient(
    tile: Tensor,
    scale: Tensor,
    rows: tuple[Tensor, Tensor] | None,
    columns: tuple[Tensor, Tensor] | None,
    out: Tensor,
    *,
    softmax: bool,
) -> None:
    """Write the gradient by the logits of a tile to `out`, r × c, float32 or bfloat16.

    Args:
        tile: as `add_up` got it.
        scale: likewise.
        rows: the sums over all tiles and the gradient by them, r each.
        columns: likewise, c each.
        out: contiguous.
        softmax: a_i · exp(Z_ij − R_i) + b_j · exp(Z_ij − C_j), or (a_i + b_j) · sigmoid Z_ij.
    """
    r, c = tile.shape
    grid = triton.cdiv(r, _SIDE.value), triton.cdiv(c, _SIDE.value)
    of_rows, of_columns = rows or (scale, scale), columns or (scale, scale)
    by_row, by_column = rows is not None, columns is not None
    sides = *of_rows, *of_columns
    with torch.cuda.device_of(tile):
        _gradient[grid](tile, scale, out, *sides, r, c, softmax, by_row, by_column, num_warps=8)
