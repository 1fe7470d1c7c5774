"""The canonical similarity of a query and a document: one number, however it is computed."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass

import torch

__all__ = ["Embeddings", "all_similarities", "embeddings_of", "pair_similarities"]

_UNIT = 2.0**-53
"""Relative error of one float64 operation."""

_SMALLEST = 2.0**-60
"""Elements smaller than 2⁻⁶³ may be lost in a float32 norm, whose squares then underflow."""


@dataclass(frozen=True)
class Embeddings:
    """Embeddings in float64, with an upper bound of each one's length.

    vectors: float64 (rows, D), the float32 values.
    norms: float64 (rows,), at least the Euclidean norm.
    """

    vectors: torch.Tensor
    norms: torch.Tensor


def embeddings_of(vectors: torch.Tensor, norms: torch.Tensor) -> Embeddings:
    """Return float32 (rows, D) and its float32 norms, which are off by up to 1/1000, prepared."""
    room = math.sqrt(vectors.shape[1]) * _SMALLEST
    return Embeddings(vectors.double(), norms.double() * 1.001 + room)


def pair_similarities(
    queries: Embeddings, documents: Embeddings, starts: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Return the canonical similarity of chosen pairs, float32 (P,).

    It is the exact inner product, rounded to float64 and then to float32: it depends on neither
    the order of summation nor the device. A product of two float32 is exact in float64, so that
    a sum s of D of them is off by at most D·2⁻⁵³·‖q‖·‖d‖. Where both ends of that interval round
    to one float32, that is the similarity; else the products are summed exactly (Shewchuk 1997).

    Args:
        queries: (Q, D).
        documents: (T, D).
        starts: int64 (Q + 1,): the pairs of query q are ``starts[q] : starts[q + 1]``.
        columns: int64 (P,), the document of each pair.
    """
    if not len(columns):
        return torch.zeros(0, dtype=torch.float32, device=columns.device)
    _quiet()
    pattern = torch.sparse_csr_tensor(
        starts,
        columns,
        torch.zeros(len(columns), dtype=torch.float64, device=columns.device),
        (len(queries.vectors), len(documents.vectors)),
        check_invariants=False,
    )
    sums = torch.sparse.sampled_addmm(
        pattern, queries.vectors, documents.vectors.T, beta=0.0
    ).values()
    rows = torch.arange(len(starts) - 1, device=starts.device)
    rows = rows.repeat_interleave(starts.diff(), output_size=len(columns))
    error = queries.norms[rows].mul_(documents.norms[columns])
    rounded, unsure = _rounded(sums, error.mul_(_relative(queries)))
    if len(unsure):
        place = unsure[:, 0]
        rounded[place] = _exact(queries, documents, rows[place], columns[place])
    return rounded


def all_similarities(queries: Embeddings, documents: Embeddings) -> torch.Tensor:
    """Return the canonical similarity of every pair, float32 (Q, T)."""
    error = torch.outer(queries.norms, documents.norms).mul_(_relative(queries))
    rounded, unsure = _rounded(queries.vectors @ documents.vectors.T, error)
    if len(unsure):
        rows, columns = unsure.T
        rounded[rows, columns] = _exact(queries, documents, rows, columns)
    return rounded


def _relative(embeddings: Embeddings) -> float:
    """Return the error of an inner product relative to both lengths, twice what theory says."""
    return 2 * embeddings.vectors.shape[1] * _UNIT


def _rounded(sums: torch.Tensor, error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sums rounded to float32, and the places of those that could go either way."""
    low = (sums - error).float()
    return low, (low != sums.add_(error).float()).nonzero()


def _exact(
    queries: Embeddings, documents: Embeddings, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Return the exact inner products of a few pairs, rounded to float64 and then to float32."""
    sums = [
        math.fsum((queries.vectors[row] * documents.vectors[column]).tolist())
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return torch.tensor(sums, dtype=torch.float64).float().to(rows.device)


@functools.cache
def _quiet() -> None:
    """Trigger torch's one warning that its sparse tensors may still change, and discard it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nothing = torch.zeros(0, dtype=torch.int64)
        torch.sparse_csr_tensor(
            torch.zeros(1, dtype=torch.int64), nothing, nothing, (0, 1), check_invariants=False
        )
