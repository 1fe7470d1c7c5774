"""Products of int8 matrices, exact on every processor."""

from __future__ import annotations

import functools

import torch

__all__ = ["integer_products"]

_AT_ONCE = 65_536
_EXACT_WIDTH = 2**24 // 127**2
"""So many products of two codes have a sum that float32 holds exactly."""


def integer_products(codes: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return codes · columns as float32 (N, Q): the exact sums, rounded to float32.

    Args:
        codes: int8 (N, D), within ±127.
        columns: int8 (D, Q), within ±127.
    """
    if _instructions():
        # A copy into a layout of its own: of a width of 1 torch misreads others.
        fresh = torch.empty(columns.shape, dtype=torch.int8).copy_(columns)
        return torch._int_mm(codes.contiguous(), fresh).float()
    out = torch.empty((len(codes), columns.shape[1]))
    kind = torch.float32 if len(columns) <= _EXACT_WIDTH else torch.float64
    wide = columns.to(kind)
    for start in range(0, len(codes), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        out[part] = codes[part].to(kind) @ wide
    return out


@functools.cache
def _instructions() -> bool:
    """Return whether the processor multiplies int8 exactly.

    Without the instructions for it (VNNI, AMX) oneDNN adds pairs of products in int16, which
    overflows: https://uxlfoundation.github.io/oneDNN/dev_guide_int8_computations.html
    """
    codes = torch.full((64, 64), 127, dtype=torch.int8)
    try:
        products = [torch._int_mm(codes * sign, codes[:, :2].contiguous()) for sign in (1, -1)]
    except (RuntimeError, NotImplementedError):
        return False
    expected = 64 * 127**2
    return bool((products[0] == expected).all() and (products[1] == -expected).all())
