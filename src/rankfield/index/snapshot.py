"""The rows of an exact index after one write: what a search sees, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from rankfield.errors import DataError, InputError
from rankfield.index.base import KEY, Filter, Vectors
from rankfield.index.checks import chosen_rows
from rankfield.index.mapped_files import mapped
from rankfield.index.metadata import Header, IndexMetadata
from rankfield.index.segments import Segment, SegmentState
from rankfield.search import Hits, SearchOptions, merge_hits

__all__ = ["Snapshot", "State", "live_name", "open_segments"]

_FEW = 1_024
"""Ids that are looked up one by one."""


class State(BaseModel):
    """Which files count.

    version: counts writes; the files of a write bear its number.
    segments: in the order of their rows.
    live: the number of the file of live rows; None where all are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: NonNegativeInt
    segments: list[SegmentState]
    live: NonNegativeInt | None = None

    def numbers(self) -> set[int]:
        """Return the numbers of all files that count."""
        return {s.number for s in self.segments} | ({self.live} if self.live is not None else set())


def live_name(number: int) -> str:
    """Return the name of a file of live rows."""
    return f"live-{number}.npy"


@dataclass(frozen=True)
class Snapshot:
    """The rows of all segments, of which the live ones are the documents.

    live: bool (rows,).
    """

    folder: Path
    metadata: IndexMetadata
    state: State
    segments: tuple[Segment, ...]
    live: npt.NDArray[np.bool_]

    @classmethod
    def open(cls, folder: Path, header: Header, known: Iterable[Segment] = ()) -> Snapshot:
        """Open what a header names.

        Args:
            folder: of the index.
            header: of the folder.
            known: segments that are open and were not written since.

        Raises:
            InputError: it, or a file that it names, is missing or damaged.
        """
        state, metadata = _state_of(header, folder), header.metadata
        segments = open_segments(folder, metadata, state.segments, known)
        rows = sum(segment.rows for segment in state.segments)
        live = np.ones(rows, dtype=np.bool_)
        if state.live is not None:
            live[:] = mapped(folder / live_name(state.live), (rows,), "bool")
        return cls(folder, metadata, state, segments, live)

    @cached_property
    def ids(self) -> pl.Series:
        """The id of each row, of dead ones too."""
        return pl.concat([segment.documents[KEY] for segment in self.segments])

    def hits(
        self,
        vectors: Vectors,
        k: int,
        chosen: npt.NDArray[np.bool_],
        options: SearchOptions | None,
        *,
        exact: bool,
    ) -> Hits:
        """Return the k nearest rows of each vector among `chosen`; k is at least 1."""
        parts, starts, start = [], [], 0
        for segment in self.segments:
            rows = slice(start, start + segment.state.rows)
            parts.append(segment.corpus(exact).search(vectors, k, options, chosen[rows]))
            starts.append(start)
            start = rows.stop
        return merge_hits(parts, starts, k)

    def chosen(self, filter: Filter | None) -> npt.NDArray[np.bool_]:
        """Return which rows may be found, bool (rows,).

        Raises:
            InputError: a filter that does not say yes or no for each document.
        """
        if filter is None:
            return self.live
        if not callable(filter):
            return self.holds(filter)
        rows = np.flatnonzero(self.live)
        chosen = np.zeros(len(self.live), dtype=np.bool_)
        chosen[rows[chosen_rows(filter, self.documents(rows))]] = True
        return chosen

    def holds(self, ids: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return which rows are live and have one of some ids."""
        known = self.ids.is_in(pl.Series(list(ids), dtype=pl.String).implode())
        return known.to_numpy() & self.live

    def rows_of(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each id.

        Raises:
            DataError: an unknown id.
        """
        if not len(ids):
            return np.zeros(0, dtype=np.int64)
        if len(ids) <= _FEW:
            return self._rows_of_few(ids)
        known = pl.DataFrame({KEY: self.ids, "row": np.arange(len(self.live))})
        asked = pl.DataFrame({KEY: pl.Series(ids, dtype=pl.String)})
        live = known.filter(pl.Series(self.live))
        rows = asked.join(live, on=KEY, how="left", maintain_order="left")["row"]
        if rows.null_count():
            raise self._unknown(ids[int(rows.is_null().arg_max() or 0)])
        return rows.to_numpy()

    def _rows_of_few(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the same by a look at all ids, without a table of them."""
        rows = np.flatnonzero(self.holds(ids))
        places = dict(zip(self.ids.gather(rows).to_list(), rows.tolist(), strict=True))
        try:
            return np.array([places[one] for one in ids], dtype=np.int64)
        except KeyError as error:
            raise self._unknown(error.args[0]) from None

    def _unknown(self, one: str) -> DataError:
        return DataError(f"there is no document {one!r}", where=str(self.folder))

    def vectors(self, rows: npt.NDArray[np.int64]) -> Vectors:
        """Return the vectors of some rows, float32 (n, D)."""
        found = np.empty((len(rows), self.metadata.dimension), dtype=np.float32)
        start = 0
        for segment in self.segments:
            inside = (rows >= start) & (rows < start + segment.state.rows)
            found[inside] = segment.vectors[rows[inside] - start]
            start += segment.state.rows
        return found

    def thumbnails(self, rows: npt.NDArray[np.int64]) -> list[bytes | None]:
        """Return the small images of some rows, as `Index.thumbnails`."""
        found: list[bytes | None] = [None] * len(rows)
        start = 0
        for segment in self.segments:
            end = start + segment.state.rows
            if segment.thumbnails is not None:
                for place in np.flatnonzero((rows >= start) & (rows < end)).tolist():
                    found[place] = segment.thumbnails.of(int(rows[place]) - start)
            start = end
        return found

    def documents(self, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return the stored columns of some rows."""
        stored = self._stored
        if len(rows) == stored.height and (np.diff(rows) == 1).all():
            return stored.clone()
        found: pl.DataFrame = stored[rows]
        return found

    @cached_property
    def _stored(self) -> pl.DataFrame:
        """The stored columns of all rows, of dead ones too."""
        return pl.concat([segment.documents for segment in self.segments])


def open_segments(
    folder: Path,
    metadata: IndexMetadata,
    states: Iterable[SegmentState],
    known: Iterable[Segment] = (),
) -> tuple[Segment, ...]:
    """Return segments, of which those that are `known` are not opened again.

    Raises:
        InputError: a file of them is missing or damaged.
    """
    opened = {segment.state: segment for segment in known}
    return tuple(opened.get(one) or Segment.open(folder, one, metadata) for one in states)


def _state_of(header: Header, folder: Path) -> State:
    try:
        state = State.model_validate(header.state)
        if not state.segments:
            raise ValueError("no segment")
    except (ValidationError, ValueError) as error:
        raise InputError(
            f"the index is damaged ({' '.join(str(error).split())[:200]})",
            where=str(folder),
            remedy="Build it again.",
        ) from None
    return state
