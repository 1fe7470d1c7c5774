"""Whether what a search returned is a ranking of a split's documents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rankfield.errors import ModelError
from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["check_hits"]

_TILE = 512


def check_hits(name: str, view: SplitView, hits: Hits) -> None:
    """Refuse hits that no search over the documents of `view` can give.

    Args:
        name: who searched, for the message.
        view: the split.
        hits: what was found; row q belongs to row q of ``view.queries``.

    Raises:
        ModelError: indices and scores not of shape (queries, k); an index that is neither −1 nor
            a row of the documents, that follows a −1, or that a query has twice; a score of NaN.
    """
    where = f"{name}, split {view.name}"
    indices, scores = hits.indices, hits.similarities
    if indices.ndim != 2 or indices.shape != scores.shape or len(indices) != view.queries.height:
        raise ModelError(
            f"expected hits for {view.queries.height} queries, found indices of shape "
            f"{indices.shape} and scores of shape {scores.shape}",
            where=where,
        )
    for start in range(0, len(indices), _TILE):
        tile = slice(start, start + _TILE)
        for bad, what in _faults(indices[tile], scores[tile], view.documents.height):
            if bad.any():
                query = view.queries["query_id"][start + int(bad.any(axis=1).argmax())]
                raise ModelError(f"found {what}", where=f"{where}, query_id {query!r}")


def _faults(
    indices: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], documents: int
) -> Iterator[tuple[npt.NDArray[np.bool_], str]]:
    """Yield where a fault is, a row for each query, and which one."""
    unknown = (indices < -1) | (indices >= documents)
    yield unknown, f"a document row that is not from 0 to {documents - 1}"
    ordered = np.sort(indices, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    yield twice, "the same document twice"
    found = indices >= 0
    yield found[:, 1:] & ~found[:, :-1], "a document after the list's end"
    yield found & np.isnan(scores), "a score of NaN"
