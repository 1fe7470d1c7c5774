"""Indexes of which another system proposes the documents: the answer stays ours.

The index keeps its own files, as an exact one: vectors, stored columns, which rows are live. A
store holds a copy of the vectors by their keys and names the nearest ones. Whatever it answers, the
similarities are exact, the order is the canonical one and filters are applied here; a write is
acknowledged when it is in the files. What a store lost is written to it again.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from rankfield.errors import InputError, OutputError
from rankfield.index.base import Chunks, Filter, Thumbnails, Vectors
from rankfield.index.exact import ExactIndex, hits_frame
from rankfield.index.mapped_files import mapped
from rankfield.index.metadata import IndexMetadata, read_header
from rankfield.index.segments import SegmentState, vectors_name
from rankfield.index.snapshot import Snapshot, State
from rankfield.progress import progress
from rankfield.search import Hits, SearchOptions, ranked_rows

__all__ = ["CandidateIndex", "Candidates", "Keys"]

Keys = npt.NDArray[np.int64]

_SEGMENT = 2**32
"""The key of a row is segment · 2³² + its place in the segment."""
_EXACT = 65_536
"""So few documents are all looked at: where a filter keeps few, a store would find too few."""
_AT_ONCE = 65_536


class Candidates(Protocol):
    """A copy of vectors in another system, by int64 keys."""

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Write vectors, in place of those that have the same keys."""

    def remove(self, keys: Keys) -> None:
        """Remove vectors; unknown keys are passed over."""

    def count(self, first: int, last: int) -> int:
        """Return how many keys there are from `first` up to, not with, `last`."""
        ...

    def nearest(self, vector: Vectors, count: int) -> Keys:
        """Return about `count` keys whose vectors have the largest inner product with (D,)."""
        ...

    def finish(self) -> None:
        """Prepare what was added for searching."""

    def drop(self) -> None:
        """Remove the copy."""


class CandidateIndex(ExactIndex):
    """An `Index` whose store proposes documents; a subclass says which store."""

    def __init__(self, folder: Path, now: Snapshot) -> None:
        """Search a snapshot, and open the store, to which what it lacks is written."""
        super().__init__(folder, now)
        self._store = self.open_store(folder, self.metadata)
        self._behind = bool(self._differing(self._now))
        if self._behind:
            self._restore()

    @classmethod
    @abstractmethod
    def open_store(cls, folder: Path, metadata: IndexMetadata) -> Candidates:
        """Return the store's copy for an index in `folder`, made if there is none.

        Raises:
            MissingExtraError: its package is not installed.
            InputError: it cannot be reached or opened.
        """

    @classmethod
    @abstractmethod
    def check_store(cls, metadata: IndexMetadata) -> None:
        """Refuse a store that cannot be used, before anything is embedded.

        Raises:
            MissingExtraError, InputError: as `open_store`.
        """

    @classmethod
    def build(
        cls,
        folder: str | Path,
        metadata: IndexMetadata,
        documents: pl.DataFrame,
        chunks: Chunks,
        *,
        overwrite: bool = False,
        thumbnails: Thumbnails | None = None,
    ) -> Self:
        """Make an index in `folder`, as `Index.build`, and write its vectors to the store."""
        root = Path(folder)
        cls.check_store(metadata)
        super().build_files(
            root, metadata, documents, chunks, overwrite=overwrite, thumbnails=thumbnails
        )
        cls.open_store(root, metadata).drop()  # of an index that had this place and name
        return cls.open(root)

    def search(
        self,
        vectors: Vectors,
        k: int,
        filter: Filter | None = None,
        options: SearchOptions | None = None,
        *,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Return the k nearest documents of each vector, as `Index.search`.

        Where a filter keeps at most 65,536 documents all of them are looked at. Otherwise the store
        proposes k · `oversample` for each vector, and more under a filter; where that leaves fewer
        than k, or where another state than the newest is searched, all are looked at.
        """
        now = self._now
        self._check_search(vectors, k)
        chosen = now.chosen(filter)
        count = int(chosen.sum())
        if exact or count <= _EXACT or self._behind or not self._newest(now):
            return hits_frame(now, now.hits(vectors, k, chosen, options, exact=exact))
        wanted = -(-k * self.metadata.oversample * len(chosen) // count)
        hits = Hits.nothing(len(vectors), k)
        left = np.zeros(len(vectors), dtype=np.bool_)
        for query, vector in enumerate(vectors):
            found = self._proposed(now, vector, k, wanted, chosen)
            if found is None:
                left[query] = True
            else:
                hits.put(slice(query, query + 1), found)
        if left.any():
            hits.put(left, now.hits(vectors[left], k, chosen, options, exact=True))
        return hits_frame(now, hits)

    def _newest(self, now: Snapshot) -> bool:
        """Return whether the store holds what this snapshot shows."""
        header = read_header(self.folder)
        mine = now.state.model_dump(), now.metadata.built
        return (header.state, header.metadata.built) == mine

    def _proposed(
        self, now: Snapshot, vector: Vectors, k: int, wanted: int, chosen: npt.NDArray[np.bool_]
    ) -> Hits | None:
        """Return the k best documents of those that the store proposes; None if it has too few."""
        if not vector.any():
            return None
        rows = _rows_of(self._store.nearest(vector, wanted), now.state.segments)
        rows = np.unique(rows[chosen[rows]])
        found = now.vectors(rows)
        present = found.any(axis=1)
        rows = rows[present]
        if len(rows) < k:
            return None
        query, documents = (torch.from_numpy(one) for one in (vector[None], found[present]))
        return ranked_rows(query.float(), documents, rows, k)

    def _commit(self, before: Snapshot, state: State) -> None:
        """Write new rows to the store, make them count, and remove what counts no longer there."""
        known = {segment.number for segment in before.state.segments}
        for segment in state.segments:
            if segment.number not in known:
                self._add(segment, np.arange(segment.rows))
        self._store.finish()
        super()._commit(before, state)
        gone = np.setdiff1d(_live_keys(before), _live_keys(self._now), assume_unique=True)
        # The write is acknowledged: what the store keeps too long is never shown.
        with suppress(InputError):
            self._store.remove(gone)

    def _add(self, segment: SegmentState, rows: npt.NDArray[np.int64]) -> None:
        shape = (segment.rows, self.metadata.dimension)
        vectors = mapped(self.folder / vectors_name(segment.number), shape, self.metadata.dtype)
        first = segment.number * _SEGMENT
        with progress(f"write to {self.name}", len(rows), unit="documents") as advance:
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                self._store.add(first + part, vectors[part].astype(np.float32))
                advance(len(part))

    def _differing(self, now: Snapshot) -> list[SegmentState]:
        """Return the segments of which the store does not hold just the live rows."""
        live = _live_keys(now)
        found = []
        for segment in now.state.segments:
            first = segment.number * _SEGMENT
            expected = np.searchsorted(live, first + segment.rows) - np.searchsorted(live, first)
            if self._store.count(first, first + segment.rows) != expected:
                found.append(segment)
        return found

    def _restore(self) -> None:
        """Write what the store lacks to it; while another process writes, leave that to it."""
        try:
            with self._writing() as now:
                live = _live_keys(now)
                for segment in self._differing(now):
                    first = segment.number * _SEGMENT
                    every = first + np.arange(segment.rows)
                    self._store.remove(np.setdiff1d(every, live, assume_unique=True))
                    if segment in self._differing(now):
                        self._add(segment, np.intersect1d(every, live) - first)
                self._store.finish()
                self._now = now
            self._behind = False
        except OutputError:
            self._behind = True


def _live_keys(now: Snapshot) -> Keys:
    """Return the keys of the live rows, ascending."""
    keys = [s.number * _SEGMENT + np.arange(s.rows) for s in now.state.segments]
    return np.sort(np.concatenate(keys)[now.live])


def _rows_of(keys: Keys, segments: list[SegmentState]) -> npt.NDArray[np.int64]:
    """Return the rows of keys; those of rows that the segments do not have are left out."""
    rows, start = [], 0
    for segment in segments:
        first = segment.number * _SEGMENT
        inside = keys[(keys >= first) & (keys < first + segment.rows)]
        rows.append(inside - first + start)
        start += segment.rows
    return np.concatenate(rows)
