"""Whether what a search returned is a ranking of a split's documents."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rankfield.errors import ModelError
from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["check_hits"]


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
    indices, scores = hits.indices, hits.scores
    if indices.ndim != 2 or indices.shape != scores.shape or len(indices) != view.queries.height:
        raise ModelError(
            f"expected hits for {view.queries.height} queries, found indices of shape "
            f"{indices.shape} and scores of shape {scores.shape}",
            where=where,
        )
    found = indices >= 0
    ordered = np.sort(np.where(found, indices, -1), axis=1)
    twice = np.zeros_like(found)
    twice[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    after_end = np.zeros_like(found)
    after_end[:, 1:] = found[:, 1:] & ~found[:, :-1]
    unknown = (indices < -1) | (indices >= view.documents.height)
    for bad, what in (
        (unknown, f"a document row that is not from 0 to {view.documents.height - 1}"),
        (twice, "the same document twice"),
        (after_end, "a document after the list's end"),
        (found & np.isnan(scores), "a score of NaN"),
    ):
        _refuse(bad, what, where, view)


def _refuse(bad: npt.NDArray[np.bool_], what: str, where: str, view: SplitView) -> None:
    rows = bad.any(axis=1)
    if rows.any():
        query = view.queries["query_id"][int(rows.argmax())]
        raise ModelError(f"found {what}", where=f"{where}, query_id {query!r}")
