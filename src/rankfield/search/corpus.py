"""The documents that a search can find: those whose embedding is not zero."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rankfield.search.exact import exact_search
from rankfield.search.hits import Hits
from rankfield.search.options import SearchOptions
from rankfield.search.rows import release_pages
from rankfield.search.shards import merge_hits

__all__ = ["Corpus"]

_AT_ONCE = 65_536


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
    def of(
        cls, documents: npt.NDArray[np.floating], among: npt.NDArray[np.bool_] | None = None
    ) -> Corpus:
        """Return the corpus of embeddings (N, D), which are not copied.

        Args:
            documents: the embeddings.
            among: bool (N,), which documents can be found; all by default.
        """
        present = _nonzero(documents)
        if among is not None:
            present &= among
        return cls(documents, None if present.all() else np.flatnonzero(present).astype(np.int64))

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
        best = min(k, len(self.vectors))
        indices = np.full((len(queries), best), -1, dtype=np.int64)
        similarities = np.full(indices.shape, -np.inf, dtype=np.float32)
        if (self.rows is None or len(self.rows)) and asking.any():
            hits = self._among(queries[asking], k, options)
            width = hits.indices.shape[1]
            indices[asking, :width] = hits.indices
            similarities[asking, :width] = hits.similarities
        return Hits(indices, similarities)

    def _among(self, queries: npt.NDArray[np.float32], k: int, options: SearchOptions) -> Hits:
        """Search the rows that can be found, of which a bounded number is copied at a time."""
        if self.rows is None:
            return exact_search(queries, self.vectors, k, **asdict(options))
        found: Hits | None = None
        for start in range(0, len(self.rows), _AT_ONCE):
            rows = self.rows[start : start + _AT_ONCE]
            hits = exact_search(queries, self.vectors[rows], k, **asdict(options))
            part = Hits(rows[hits.indices], hits.similarities)
            found = part if found is None else merge_hits([found, part], [0, 0], k)
            release_pages(self.vectors)
        assert found is not None
        return found


def _nonzero(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which rows hold anything but zeros; a memory-mapped file is read in parts."""
    found = np.empty(len(vectors), dtype=np.bool_)
    for start in range(0, len(vectors), _AT_ONCE):
        found[start : start + _AT_ONCE] = vectors[start : start + _AT_ONCE].any(axis=1)
        release_pages(vectors)
    return found
