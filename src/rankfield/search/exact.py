"""Exact nearest-neighbour search by inner product, in tiles of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rankfield.errors import DataError

__all__ = ["Hits", "exact_search", "rank_scores"]

_QUERY_TILE = 256
_BYTES_PER_SCORE = 24  # the score, topk's working copy, and the masks that settle ties


@dataclass(frozen=True)
class Hits:
    """The k best documents of each query, best first.

    indices: int64 (Q, k), rows of the documents; −1 past the end of a list shorter than k.
    scores: float32 (Q, k), the similarities; −∞ past the end.

    Equal scores are in the order of the document rows.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    @property
    def ties(self) -> int:
        """How many queries have two documents of equal score among their hits."""
        equal = (self.scores[:, 1:] == self.scores[:, :-1]) & (self.indices[:, 1:] >= 0)
        return int(equal.any(axis=1).sum())


def exact_search(
    queries: npt.NDArray[np.float32],
    documents: npt.NDArray[np.float32],
    k: int,
    *,
    memory_mib: int = 256,
    device: str = "cpu",
) -> Hits:
    """Return the min(k, N) documents with the largest inner product for each query.

    Documents of equal score are ordered by row, also where the k-th and the next are equal.

    Args:
        queries: float32 (Q, D).
        documents: float32 (N, D); may be a memory-mapped file, which is read once.
        k: how many documents a query gets, at least 1.
        memory_mib: about how much to use beside the input and the result.
        device: where to multiply, as torch names it.

    Raises:
        DataError: k < 1, widths that differ, or an embedding that is not finite.
    """
    _check_search(queries, documents, k)
    count = documents.shape[0]
    best = min(k, count)
    query_tile = max(1, min(_QUERY_TILE, len(queries)))
    bytes_per_document = _BYTES_PER_SCORE * query_tile + 8 * documents.shape[1]
    document_tile = max(1, memory_mib * 2**20 // bytes_per_document)
    left = torch.from_numpy(np.array(queries, dtype=np.float32)).to(device)
    values = torch.full((len(queries), 0), 0.0, device=device)
    rows = torch.zeros((len(queries), 0), dtype=torch.int64, device=device)
    for start in range(0, count, document_tile):
        # A copy, since a memory-mapped array is often read-only, which torch does not know.
        block = np.array(documents[start : start + document_tile], dtype=np.float32)
        _check_finite("document", block, start)
        right = torch.from_numpy(block).to(device)
        merged = [
            _merge(left[q], right, start, (values[q], rows[q]), best)
            for q in _slices(len(queries), query_tile)
        ]
        if merged:
            values = torch.cat([value for value, _ in merged])
            rows = torch.cat([row for _, row in merged])
    return Hits(rows.cpu().numpy(), values.cpu().numpy())


def rank_scores(scores: npt.NDArray[np.float32], k: int) -> Hits:
    """Return the min(k, N) largest of each row of float32 scores (Q, N), ties by column.

    A score of −∞ means not retrieved: such columns become −1 at the end of the list.
    """
    values, columns = _top(torch.from_numpy(np.asarray(scores, dtype=np.float32)), k)
    columns = torch.where(torch.isneginf(values), -1, columns)
    return Hits(columns.numpy(), values.numpy())


def _merge(
    left: torch.Tensor,
    right: torch.Tensor,
    start: int,
    found: tuple[torch.Tensor, torch.Tensor],
    k: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best k of what was found before and of one tile of documents."""
    values, rows = found
    tile_values, tile_rows = _top(left @ right.T, k)
    # Both parts are in canonical order and the earlier rows come first, so that among equal
    # scores the position in the joined list is the order of the rows.
    joined = torch.cat([rows, tile_rows + start], dim=1)
    values, positions = _top(torch.cat([values, tile_values], dim=1), k)
    return values, joined.gather(1, positions)


def _top(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest of each row, descending, equal ones by position: torch.topk is not."""
    if values.shape[1] <= k:
        ordered = values.sort(dim=1, descending=True, stable=True)
        return ordered.values, ordered.indices
    top = values.topk(k + 1, dim=1)
    positions = top.indices[:, :k]
    tied = top.values[:, k - 1] == top.values[:, k]
    if bool(tied.any()):
        positions = positions.clone()
        positions[tied] = _first_positions(values[tied], top.values[tied, k - 1], k)
    positions = positions.sort(dim=1).values
    ordered = values.gather(1, positions).sort(dim=1, descending=True, stable=True)
    return ordered.values, positions.gather(1, ordered.indices)


def _first_positions(values: torch.Tensor, kth: torch.Tensor, k: int) -> torch.Tensor:
    """Return where the k largest are, taking of those equal to the k-th the first ones."""
    above = values > kth[:, None]
    equal = values == kth[:, None]
    wanted = k - above.sum(dim=1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= wanted))
    return chosen.nonzero()[:, 1].reshape(len(values), k)


def _check_search(
    queries: npt.NDArray[np.float32], documents: npt.NDArray[np.float32], k: int
) -> None:
    if k < 1:
        raise DataError(f"expected k of at least 1, found {k}", where="search")
    if queries.ndim != 2 or documents.ndim != 2 or queries.shape[1] != documents.shape[1]:
        raise DataError(
            "expected queries (Q, D) and documents (N, D) of one width D, found "
            f"{queries.shape} and {documents.shape}",
            where="search",
            remedy="Embed both with the same model.",
        )
    _check_finite("query", queries, 0)


def _check_finite(what: str, block: npt.NDArray[np.float32], start: int) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise DataError(
            "expected finite numbers, found NaN or infinity",
            where=f"embedding of {what} row {start + int(finite.argmin())}",
            remedy="The model has diverged, or the embedding file is damaged.",
        )


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]
