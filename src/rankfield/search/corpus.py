"""The documents that a search can find: those whose embedding is not zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rankfield.search.exact import exact_search
from rankfield.search.hits import Hits
from rankfield.search.rows import release_pages

__all__ = ["Corpus"]

_AT_ONCE = 65_536


@dataclass(frozen=True)
class Corpus:
    """Documents to search by inner product; a zero embedding is never found.

    A record of which a model takes nothing (all fields that it uses are absent) has a zero
    embedding. It has no direction, so that its inner product of 0 says nothing: as a document it is
    not retrieved, as a query it retrieves nothing. Bag-of-words search does the same.

    vectors: float32 or float16 (n, D), the embeddings that are not zero.
    rows: int64 (n,), their rows among all documents; None where no document is left out.
    height: number of all documents N.
    """

    vectors: npt.NDArray[np.floating]
    rows: npt.NDArray[np.int64] | None
    height: int

    @classmethod
    def of(cls, documents: npt.NDArray[np.floating]) -> Corpus:
        """Return the corpus of embeddings (N, D), which are copied only if one of them is zero."""
        present = _nonzero(documents)
        if present.all():
            return cls(documents, None, len(documents))
        rows = np.flatnonzero(present).astype(np.int64)
        return cls(documents[rows], rows, len(documents))

    def search(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        *,
        memory_mib: int = 256,
        device: str = "cpu",
        precision: str = "auto",
    ) -> Hits:
        """Return the best documents of each query, (Q, min(k, N)), as `exact_search`.

        Indices are rows among all documents; −1 past the end of a list shorter than that.

        Args:
            queries: float32 (Q, D).
            k, memory_mib, device, precision: as `exact_search`.

        Raises:
            DataError: as `exact_search`.
        """
        asking = _nonzero(queries)
        if self.rows is None and asking.all():
            return exact_search(
                queries,
                self.vectors,
                k,
                memory_mib=memory_mib,
                device=device,
                precision=precision,
            )
        best = min(k, self.height)
        indices = np.full((len(queries), best), -1, dtype=np.int64)
        scores = np.full(indices.shape, -np.inf, dtype=np.float32)
        if len(self.vectors) and asking.any():
            hits = exact_search(
                queries[asking],
                self.vectors,
                k,
                memory_mib=memory_mib,
                device=device,
                precision=precision,
            )
            width = hits.indices.shape[1]
            found = hits.indices if self.rows is None else self.rows[hits.indices]
            indices[asking, :width] = found
            scores[asking, :width] = hits.similarities
        return Hits(indices, scores)


def _nonzero(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which rows hold anything but zeros; a memory-mapped file is read in parts."""
    found = np.empty(len(vectors), dtype=np.bool_)
    for start in range(0, len(vectors), _AT_ONCE):
        found[start : start + _AT_ONCE] = vectors[start : start + _AT_ONCE].any(axis=1)
        release_pages(vectors)
    return found
