"""The documents that a search can find: those whose embedding is not zero."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rankfield.search.exact import exact_search
from rankfield.search.hits import Hits
from rankfield.search.options import SearchOptions
from rankfield.search.rows import release_pages, require_vectors
from rankfield.search.shards import merge_hits

__all__ = ["Corpus"]

_AT_ONCE = 65_536
"""Rows that are looked at, or copied, at a time."""

_FEW = 256
"""So many more hits are fetched rather than copy the rows of all other documents."""


@dataclass(frozen=True)
class Corpus:
    """Documents to search by inner product; a zero embedding is never found.

    A record of which a model takes nothing (all fields that it uses are absent) has a zero
    embedding. It has no direction, so that its inner product of 0 says nothing: as a document it is
    not retrieved, as a query it retrieves nothing. Bag-of-words search does the same.

    vectors: float32 or float16 (N, D), the embeddings of all documents.
    rows: int64 (n,), the rows of those that can be found, ascending; None where all can.
    """

    vectors: npt.NDArray[np.floating]
    rows: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, documents: npt.NDArray[np.floating]) -> Corpus:
        """Return the corpus of embeddings (N, D), which are not copied."""
        present = _nonzero(documents)
        return cls(documents, None if present.all() else np.flatnonzero(present).astype(np.int64))

    def among(self, chosen: npt.NDArray[np.bool_]) -> Corpus:
        """Return the same corpus, in which only chosen documents can be found.

        Args:
            chosen: bool (N,).
        """
        if chosen.all():
            return self
        rows = np.flatnonzero(chosen) if self.rows is None else self.rows[chosen[self.rows]]
        return Corpus(self.vectors, rows.astype(np.int64))

    def search(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        options: SearchOptions | None = None,
    ) -> Hits:
        """Return the best documents of each query, (Q, min(k, N)), as `exact_search`.

        Indices are rows among all documents; −1 past the end of a list shorter than that.

        Args:
            queries: float32 (Q, D).
            k: how many documents a query gets, at least 1.
            options: how to search.

        Raises:
            DataError: as `exact_search`.
        """
        options, asking = options or SearchOptions(), _nonzero(queries)
        if self.rows is None and asking.all():
            return exact_search(queries, self.vectors, k, **asdict(options))
        found = Hits.nothing(len(queries), min(k, len(self.vectors)))
        if (self.rows is None or len(self.rows)) and asking.any():
            found.put(asking, self._among(queries[asking], k, options))
        return found

    def _among(self, queries: npt.NDArray[np.float32], k: int, options: SearchOptions) -> Hits:
        """Search the rows that can be found: all, all but a few, or some at a time, copied."""
        if self.rows is None:
            return exact_search(queries, self.vectors, k, **asdict(options))
        others = len(self.vectors) - len(self.rows)
        if others <= _FEW:
            hits = exact_search(queries, self.vectors, k + others, **asdict(options))
            return _kept(hits, self.rows, min(k, len(self.rows)))
        found: Hits | None = None
        for start in range(0, len(self.rows), _AT_ONCE):
            rows = self.rows[start : start + _AT_ONCE]
            hits = exact_search(queries, self.vectors[rows], k, **asdict(options))
            part = Hits(rows[hits.indices], hits.similarities)
            found = part if found is None else merge_hits([found, part], [0, 0], k)
            release_pages(self.vectors)
        assert found is not None
        return found


def _kept(hits: Hits, rows: npt.NDArray[np.int64], k: int) -> Hits:
    """Return the first k hits of each query that are among some rows, of which each has as many."""
    others = ~np.isin(hits.indices, rows)
    order = np.argsort(others, axis=1, kind="stable")[:, :k]
    return Hits(
        np.take_along_axis(hits.indices, order, axis=1),
        np.take_along_axis(hits.similarities, order, axis=1),
    )


def _nonzero(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which rows hold anything but zeros; a memory-mapped file is read in parts."""
    require_vectors(vectors, "search")
    found = np.empty(len(vectors), dtype=np.bool_)
    for start in range(0, len(vectors), _AT_ONCE):
        found[start : start + _AT_ONCE] = vectors[start : start + _AT_ONCE].any(axis=1)
        release_pages(vectors)
    return found
