"""Exact nearest-neighbour search by inner product, in tiles of bounded memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from rankfield.errors import DataError
from rankfield.search.hits import Hits
from rankfield.search.order import MAX_ROWS, hits_of, packed, sort_rows, unpacked
from rankfield.search.rows import check_finite, require_vectors, rows_of
from rankfield.search.scan import Scan, guessed_thresholds
from rankfield.search.screening import PRECISIONS, chosen_dtype, full_precision
from rankfield.search.threads import thread_count
from rankfield.search.tiling import tiling

__all__ = ["best_keys", "exact_search", "rank_scores"]

_DENSE = 4
"""From k = N / 4 on, screening saves nothing."""


def exact_search(
    queries: npt.NDArray[np.float32] | torch.Tensor,
    documents: npt.NDArray[np.floating] | torch.Tensor,
    k: int,
    *,
    memory_mib: int = 256,
    device: str = "cpu",
    precision: str = "auto",
) -> Hits:
    """Return the min(k, N) documents with the largest inner product for each query.

    The similarity of a pair is its exact inner product, rounded to float64 and then to float32;
    documents of equal similarity are ordered by row, also where the k-th and the next are equal.
    The result therefore depends on the embeddings alone: not on the memory, the number of threads,
    the device or the precision, which change the speed.

    A product in `precision` finds the documents that can be among the best within its proven error
    (`screening.Screen`); only those are computed exactly.

    Args:
        queries: float32 (Q, D).
        documents: float32 or float16 (N, D), an array, a memory-mapped file or a tensor on any
            device. Read once, and a sample of its rows before, if the queries fit the memory.
        k: how many documents a query gets, at least 1.
        memory_mib: about how much to use beside the input and the result.
        device: where to multiply, as torch names it; one without float64 is replaced by the CPU.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it.

    Raises:
        DataError: no vectors, k < 1, an unknown precision, widths that differ, more than 2³² − 1
            documents, or an embedding that is not finite or longer than 2⁶⁰.
    """
    return hits_of(
        best_keys(queries, documents, k, memory_mib=memory_mib, device=device, precision=precision)
    )


def best_keys(
    queries: npt.NDArray[np.float32] | torch.Tensor,
    documents: npt.NDArray[np.floating] | torch.Tensor,
    k: int,
    *,
    memory_mib: int = 256,
    device: str = "cpu",
    precision: str = "auto",
    span: range | None = None,
) -> torch.Tensor:
    """Return what `exact_search` does as sorted keys (`order.packed`), int64 (Q, min(k, N)).

    span: which rows of the documents to search, all by default.
    """
    _check_search(queries, documents, k, precision)
    span = range(len(documents)) if span is None else span
    place = torch.device("cpu" if device.startswith("mps") else device)
    best = min(k, len(span))
    plan = tiling(
        memory_mib,
        len(queries),
        len(span),
        documents.shape[1],
        best,
        threads=thread_count(place),
        device=place.type,
    )
    found = [torch.zeros((0, best), dtype=torch.int64)]
    with full_precision():
        for start in range(0, len(queries) if best else 0, plan.queries):
            left = rows_of(queries, slice(start, start + plan.queries), place)
            check_finite("query", left, start)
            dtype = chosen_dtype(precision, place)
            scan = Scan(left, documents, k=best, dtype=dtype, plan=plan, span=span)
            found.append(_one_pass(scan, left).cpu())
    return torch.cat(found) if best else torch.zeros((len(queries), 0), dtype=torch.int64)


def rank_scores(scores: npt.NDArray[np.float32], k: int) -> Hits:
    """Return the min(k, N) largest of each row of float32 scores (Q, N), ties by column.

    A score of −∞ means not retrieved: such columns become −1 at the end of the list.
    """
    values = torch.from_numpy(np.array(scores, dtype=np.float32))
    keys = packed(values, torch.arange(values.shape[1]).expand(values.shape))
    hits = hits_of(sort_rows(keys, k))
    return Hits(np.where(np.isneginf(hits.similarities), -1, hits.indices), hits.similarities)


def _one_pass(scan: Scan, queries: torch.Tensor) -> torch.Tensor:
    """Return the sorted keys of the k best documents of the scan's queries, int64 (Q, k)."""
    if scan.k * _DENSE >= len(scan.span):
        return scan.run(None)
    guess = guessed_thresholds(scan)
    keys = scan.run(guess)
    # Every document that reaches the guess was looked at. Where fewer than k do, the guess was
    # too high, and the query is searched again without one.
    last, _ = unpacked(keys[:, -1])
    short = (last < guess).nonzero()[:, 0]
    if len(short):
        again = Scan(
            queries[short],
            scan.documents,
            k=scan.k,
            dtype=scan.dtype,
            plan=scan.plan,
            span=scan.span,
        )
        keys[short] = again.run(torch.full_like(guess[short], -torch.inf))
    return keys


def _check_search(
    queries: npt.NDArray[np.float32] | torch.Tensor,
    documents: npt.NDArray[np.floating] | torch.Tensor,
    k: int,
    precision: str,
) -> None:
    if k < 1:
        raise DataError(f"expected k of at least 1, found {k}", where="search")
    if precision not in PRECISIONS:
        raise DataError(
            f"expected a precision of {', '.join(PRECISIONS)}, found {precision!r}", where="search"
        )
    for given in (queries, documents):
        require_vectors(given, "search")
    if queries.ndim != 2 or documents.ndim != 2 or queries.shape[1] != documents.shape[1]:
        raise DataError(
            "expected queries (Q, D) and documents (N, D) of one width D, found "
            f"{tuple(queries.shape)} and {tuple(documents.shape)}",
            where="search",
            remedy="Embed both with the same model.",
        )
    if len(documents) > MAX_ROWS:
        raise DataError(
            f"expected at most {MAX_ROWS:,} documents, found {len(documents):,}",
            where="search",
        )
