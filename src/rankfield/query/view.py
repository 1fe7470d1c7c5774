"""One state of an index, with what queries need of it again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.index import Index
from rankfield.query.lexical import FieldTerms, LexicalIndex
from rankfield.query.similarities import similarities
from rankfield.search import SearchOptions

__all__ = ["Rows", "View"]

Rows = npt.NDArray[np.int64]
"""Rows of the stored documents: the order in which they were written, which breaks ties."""

_AT_ONCE = 65_536
_MOST_BYTES = 1 << 30
"""Of vectors that are kept in memory, for counts."""
_LOST = 2.0**-22
"""Times D + 4 and both lengths: four times what a float32 sum of D products can lose."""


class View:
    """An index as it is at one moment; documents go by their rows."""

    def __init__(self, index: Index) -> None:
        self.index = index.frozen()
        self.version = self.index.version
        self.documents = self.index.documents()
        self._terms: dict[str, FieldTerms] = {}
        self._building = threading.Lock()

    def __len__(self) -> int:
        """Return the number of documents."""
        return self.documents.height

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        found: list[str] = self.documents["doc_id"].to_list()
        return found

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each id."""
        return {one: row for row, one in enumerate(self.ids)}

    @cached_property
    def findable(self) -> npt.NDArray[np.bool_]:
        """Which rows have a vector that is not zero."""
        found = np.zeros(len(self), dtype=np.bool_)
        for rows, vectors in self._chunks(None):
            found[rows] = vectors.any(axis=1)
        return found

    def above(
        self, vector: npt.NDArray[np.float32], least: float, *, equal: bool
    ) -> npt.NDArray[np.bool_]:
        """Return the rows of a similarity above `least`, or (`equal`) of `least` too, bool (N,).

        Those that float32 products cannot decide are computed exactly.

        Args:
            vector: float32 (D,).
            least: the similarity.
            equal: whether `least` itself counts.
        """
        found = np.zeros(len(self), dtype=np.bool_)
        lost = _LOST * (len(vector) + 4) * float(np.linalg.norm(vector))
        for rows, vectors in self._chunks(self._all):
            near = (vectors @ vector).astype(np.float64)
            unsure = np.flatnonzero(np.abs(near - least) <= lost * self._longest + _LOST)
            near[unsure] = similarities(vector[None], vectors[unsure])[0]
            found[rows] = near >= least if equal else near > least
        return found

    @cached_property
    def _longest(self) -> float:
        """The length of the longest vector, which is 1 but for rounding."""
        chunks = self._chunks(self._all)
        squares = (np.einsum("nd,nd->n", chunk, chunk).max() for _, chunk in chunks)
        return float(np.sqrt(max(squares, default=0.0)))

    def _chunks(
        self, kept: npt.NDArray[np.float32] | None
    ) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Yield all rows with their vectors, some at a time, of `kept` or else of the index."""
        for start in range(0, len(self), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            yield rows, kept[rows] if kept is not None else self.index.vectors(self.ids[rows])

    @cached_property
    def _all(self) -> npt.NDArray[np.float32] | None:
        """All vectors, float32 (N, D); None where they would take much memory."""
        if 4 * len(self) * self.index.metadata.dimension > _MOST_BYTES:
            return None
        return self.index.vectors(self.ids)

    def vectors(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return the vectors of rows, float32 (n, D)."""
        return self.index.vectors([self.ids[row] for row in rows.tolist()])

    def nearest(
        self,
        vector: npt.NDArray[np.float32],
        k: int,
        allowed: npt.NDArray[np.bool_] | None,
        options: SearchOptions | None,
        *,
        exact: bool = False,
    ) -> tuple[Rows, npt.NDArray[np.float32]]:
        """Return the rows and similarities of the k nearest documents, the nearest first.

        Args:
            vector: float32 (D,).
            k: how many.
            allowed: bool (N,), which rows may be found; all if None.
            options: how to search.
            exact: miss none.
        """
        if not len(self):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        chosen = None
        if allowed is not None:
            mask = pl.Series(allowed)

            def chosen(_: pl.DataFrame) -> pl.Series:
                return mask

        found = self.index.search(vector[None], k, chosen, options, exact=exact)
        rows = np.array([self.rows[one] for one in found["doc_id"]], dtype=np.int64)
        return rows, found["similarity"].to_numpy()

    def lexical(self, fields: Sequence[str]) -> LexicalIndex:
        """Return the BM25 index of some text columns, of which each is read once."""
        with self._building:
            for name in fields:
                if name not in self._terms:
                    self._terms[name] = FieldTerms.of(self.documents[name])
        return LexicalIndex(len(self), {name: self._terms[name] for name in fields})
