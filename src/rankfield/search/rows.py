"""Rows of embeddings, read from wherever they lie."""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt
import torch

from rankfield.errors import DataError

__all__ = ["check_finite", "release_pages", "require_vectors", "rows_of"]

_LONGEST = 2.0**60


def require_vectors(given: object, where: str) -> None:
    """Refuse what is no array or tensor of numbers, such as the text of a query.

    Raises:
        DataError: naming what was given.
    """
    if isinstance(given, np.ndarray) and not np.issubdtype(given.dtype, np.number):
        found = f"an array of {given.dtype}"
    elif not hasattr(given, "ndim"):
        found = type(given).__name__
    else:
        return
    raise DataError(
        f"expected vectors, found {found}",
        where=where,
        remedy="Encode first: model.encode_queries(...), model.encode_documents(...).",
    )


def rows_of(
    embeddings: npt.NDArray[np.floating] | torch.Tensor,
    rows: slice | npt.NDArray[np.int64],
    device: torch.device,
) -> torch.Tensor:
    """Return some rows as float32 on `device`."""
    if isinstance(embeddings, torch.Tensor):
        chosen = rows if isinstance(rows, slice) else torch.from_numpy(rows).to(embeddings.device)
        return embeddings.detach()[chosen].to(device, torch.float32).contiguous()
    # A copy, since a memory-mapped array is often read-only, which torch does not know.
    return torch.from_numpy(np.array(embeddings[rows], dtype=np.float32, order="C")).to(device)


def release_pages(embeddings: npt.NDArray[np.floating] | torch.Tensor) -> None:
    """Let go of what was read of a memory-mapped file, or it would count as used until the end."""
    array: object = embeddings
    while isinstance(array, np.ndarray):
        # Of a copy-on-write map the caller's changes would be lost.
        if isinstance(array, np.memmap) and array.mode == "c":
            return
        array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.madvise(mmap.MADV_DONTNEED)


def check_finite(
    what: str, block: torch.Tensor, first: int, norms: torch.Tensor | None = None
) -> None:
    """Raise if an embedding holds NaN or infinity, or is longer than 2⁶⁰.

    Args:
        what: "query" or "document".
        block: float32 (rows, D).
        first: the row of block[0], for the message.
        norms: of the rows, where they are known.

    Raises:
        DataError: naming the first such row.
    """
    if norms is None:
        norms = torch.linalg.vector_norm(block, dim=1)
    fine = norms <= _LONGEST  # false for NaN
    if not bool(fine.all()):
        row = int(fine.int().argmin())
        finite = bool(block[row].isfinite().all())
        found = f"a length above 2^60 ({norms[row]:.3g})" if finite else "NaN or infinity"
        raise DataError(
            f"expected finite numbers, found {found}",
            where=f"embedding of {what} row {first + row}",
            remedy="The model has diverged, or the embedding file is damaged.",
        )
