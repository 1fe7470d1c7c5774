"""A cheap matrix product with a proven error: which documents can be among the best at all."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

__all__ = [
    "PRECISIONS",
    "Screen",
    "Tile",
    "chosen_dtype",
    "full_precision",
    "passing",
    "tile_of",
]

PRECISIONS = ("auto", "float32", "bfloat16")

_UNDERFLOW = 2.0**-60
_NORM_ROOM = 1.001


@dataclass(frozen=True)
class Tile:
    """Rows in the precision of the product, and what rounding them has cost.

    low: (rows, D) in that precision.
    norms: float32 (rows,), Euclidean norms of the rows in float32.
    rounding: float32 (rows,), norms of the differences.
    """

    low: torch.Tensor
    norms: torch.Tensor
    rounding: torch.Tensor


def tile_of(block: torch.Tensor, dtype: torch.dtype) -> Tile:
    """Return float32 rows (T, D) in `dtype`."""
    norms = torch.linalg.vector_norm(block, dim=1)
    if dtype == torch.float32:
        return Tile(block, norms, torch.zeros_like(norms))
    low = block.to(dtype)
    return Tile(low, norms, torch.linalg.vector_norm(block - low, dim=1))


class Screen:
    """Queries against tiles of documents, in float32 or bfloat16.

    With q' and d' the rounded rows, q·d = q'·d' + q'·(d − d') + (q − q')·d, so that a product a of
    the rounded rows, accumulated in float32 and itself rounded to the unit u of its format, has

        |q·d − a| ≤ ‖q'‖·‖d − d'‖ + ‖q − q'‖·‖d‖ + 4(D + 4)·2⁻²⁴·‖q‖·‖d‖ + u·|a|.

    The third term is four times what float32 sums of any order can lose, for the accumulators of
    GPUs truncate. A document whose a lies below the threshold by more than that is out.
    """

    def __init__(self, queries: Tile) -> None:
        self._low = queries.low
        width = queries.low.shape[1]
        room = math.sqrt(width) * _UNDERFLOW
        self._norms = queries.norms.double() * _NORM_ROOM + room
        self._rounding = queries.rounding.double() * _NORM_ROOM + room
        self._sums = 4 * (width + 4) * 2.0**-24
        self._smallest = width * 2.0**-120
        self._room = room

    def products(self, queries: slice, documents: Tile, out: torch.Tensor) -> torch.Tensor:
        """Return the product of some queries with a tile in `out`, (Q, T) in its precision."""
        return torch.mm(self._low[queries], documents.low.T, out=out)

    def slack(self, documents: Tile) -> torch.Tensor:
        """Return the error for each query and any document of the tile, float64 (Q,).

        Without the last term, u·|a|, which is 0 in float32.
        """
        length = documents.norms.max().double() * _NORM_ROOM + self._room
        lost = documents.rounding.max().double() * _NORM_ROOM + self._room
        norms = self._norms + self._rounding
        sums = self._sums * norms * length + self._smallest
        return norms * lost + self._rounding * length + sums

    def cutoffs(self, threshold: torch.Tensor, documents: Tile) -> torch.Tensor:
        """Return for each query the least product of a document that may reach `threshold`.

        Args:
            threshold: float32 (Q,), of all queries.
            documents: the tile.
        """
        least = threshold.double() - self.slack(documents)
        unit = 2.0**-8 if self._low.dtype == torch.bfloat16 else 0.0
        # a + u·|a| ≥ least, solved for a; 1 + 2u is more than 1 / (1 − u).
        least = torch.where(least > 0, least / (1 + unit), least * (1 + 2 * unit))
        rounded = least.to(self._low.dtype)
        below = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
        return torch.where(rounded.double() > least, below, rounded)


def passing(products: torch.Tensor, cutoffs: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Return the flat places of the products (Q, T) that reach their query's cutoff, ascending.

    Args:
        products: float32 or bfloat16 (Q, T), contiguous.
        cutoffs: (Q,) of the same type.
        out: bool (Q, T), to work in.
    """
    if products.device.type != "cpu":
        return torch.ge(products, cutoffs[:, None], out=out).view(-1).nonzero()[:, 0]
    if products.dtype == torch.bfloat16 and bool((cutoffs > 0).all()):
        # The bits of positive floats ascend with the value and those of negative ones are
        # negative: integers compare five times faster.
        bits = products.view(torch.int16).numpy()
        np.greater_equal(bits, cutoffs[:, None].view(torch.int16).numpy(), out=out.numpy())
    else:
        torch.ge(products, cutoffs[:, None], out=out)
    return torch.from_numpy(np.flatnonzero(out.numpy()))


def chosen_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return in what to multiply: for "auto" bfloat16 where the processor can, else float32."""
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Let float32 products be float32 and sums stay in it, whatever the program has allowed."""
    matmul, precision = torch.backends.cuda.matmul, torch.get_float32_matmul_precision()
    reduced = matmul.allow_bf16_reduced_precision_reduction
    try:
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
        matmul.allow_bf16_reduced_precision_reduction = False
        yield
    finally:
        if precision != "highest":
            torch.set_float32_matmul_precision(precision)
        matmul.allow_bf16_reduced_precision_reduction = reduced
