"""An index in a folder, searched exactly: memory-mapped vectors, and Parquet beside them.

`index.json` names the files that count, and is replaced in one step; every write makes new files
first. Rows stay where they are: an upsert adds a segment, and `live-N.npy` says which rows of all
segments count. When there are many segments or half of the rows are dead, the live rows are
written into one segment.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.lib.format import open_memmap

from rankfield.durable import sync
from rankfield.errors import DataError, InputError, OutputError
from rankfield.files import link_or_copy, new_folder, open_regular, refuse_others
from rankfield.index.base import KEY, Chunks, Filter, Thumbnails, Vectors
from rankfield.index.checks import check_documents, check_vectors
from rankfield.index.kept_thumbnails import merged_thumbnails
from rankfield.index.mapped_files import fresh
from rankfield.index.metadata import (
    Header,
    IndexMetadata,
    header_before,
    header_version,
    read_header,
    set_aside,
    write_header,
)
from rankfield.index.partial import filled_vectors
from rankfield.index.segments import SegmentState, vectors_name, write_segment
from rankfield.index.snapshot import Snapshot, State, live_name, open_segments
from rankfield.outputs import require_new, storage_errors
from rankfield.search import Hits, SearchOptions
from rankfield.terminal import echo

__all__ = ["ExactIndex", "hits_frame"]

_LOCK = "lock"
_FILE = re.compile(r"(?:vectors|documents|live|thumbnails|thumbnail-places)-(\d+)\.(?:npy|parquet)")
_MOST_SEGMENTS = 16
_AT_ONCE = 65_536


class ExactIndex:
    """The `Index` that answers every search exactly (`search.exact_search`)."""

    name: ClassVar[str] = "exact"

    def __init__(self, folder: Path, now: Snapshot) -> None:
        """Search a snapshot of the index in `folder`; `open` opens the newest."""
        self._folder = folder
        self._now = now

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
        """Make an index in `folder`, as `Index.build`."""
        cls.build_files(
            Path(folder), metadata, documents, chunks, overwrite=overwrite, thumbnails=thumbnails
        )
        return cls.open(folder)

    @classmethod
    def build_files(
        cls,
        root: Path,
        metadata: IndexMetadata,
        documents: pl.DataFrame,
        chunks: Chunks,
        *,
        overwrite: bool,
        thumbnails: Thumbnails | None,
    ) -> None:
        """Write the files of an index that `Index.build` makes."""
        if not overwrite:
            require_new(root)
        check_documents(documents, root)
        with (
            storage_errors(root),
            filled_vectors(root, metadata, documents.height, chunks) as vectors,
            new_folder(root, overwrite=overwrite) as made,
        ):
            link_or_copy(vectors, made / vectors_name(0))
            images = thumbnails() if thumbnails is not None else None
            segment = write_segment(made, 0, documents, None, images)
            write_header(made, cls._header(metadata, State(version=0, segments=[segment])))
        sync(root.absolute().parent)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open an index, as `Index.open`."""
        root = Path(folder)
        try:
            now = cls._opened(root)
        except InputError as error:
            now = cls._opened_before(root, error)
        return cls(root, now)

    @classmethod
    def _opened(cls, root: Path) -> Snapshot:
        """Return the newest version."""
        header = read_header(root)
        if header.store != cls.name:
            raise InputError(
                f"expected an index of the store {cls.name}, found {header.store}", where=str(root)
            )
        try:
            return Snapshot.open(root, header)
        except InputError:
            if read_header(root) == header:
                raise
            return cls._opened(root)  # written twice meanwhile: files of the header are gone

    @classmethod
    def _opened_before(cls, root: Path, error: InputError) -> Snapshot:
        """Return the version before the newest, which is damaged, and go back to it for good."""
        before = header_before(root)
        if before is None or before.store != cls.name:
            raise error
        try:
            now = Snapshot.open(root, before)
        except InputError:
            raise error from None
        echo(
            f"Note: {root}: its newest version is damaged ({error.problem}: {error.where}). "
            "The version before it is opened; the last write is not in it.",
            err=True,
        )
        # Another process writes, or this one may not: then it is set aside at another time.
        with suppress(OutputError), _locked(root):
            try:
                cls._opened(root)  # another process may have set it aside and written since
            except InputError:
                set_aside(root, before)
        return now

    @property
    def folder(self) -> Path:
        """Where the index is."""
        return self._folder

    @property
    def metadata(self) -> IndexMetadata:
        """What it was made with."""
        return self._now.metadata

    @property
    def changed(self) -> bool:
        """Whether documents were written or deleted since it was built."""
        return self._now.state.version > 0

    @property
    def version(self) -> str:
        """What is written in it, as `Index.version`."""
        return header_version(self._header(self._now.metadata, self._now.state))

    def frozen(self) -> Self:
        """Return this index as it is now, as `Index.frozen`."""
        return copy.copy(self)

    @property
    def matrix(self) -> npt.NDArray[np.floating]:
        """The vectors (rows, dimension) of an index that was not changed, memory-mapped."""
        (segment,) = self._now.segments
        return segment.vectors

    def __len__(self) -> int:
        """Return the number of documents."""
        return int(self._now.live.sum())

    def search(
        self,
        vectors: Vectors,
        k: int,
        filter: Filter | None = None,
        options: SearchOptions | None = None,
        *,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Return the k nearest documents of each vector, as `Index.search`."""
        now = self._now
        self._check_search(vectors, k)
        return hits_frame(now, now.hits(vectors, k, now.chosen(filter), options, exact=exact))

    def _check_search(self, vectors: Vectors, k: int) -> None:
        check_vectors(vectors, self.metadata.dimension, str(self.folder))
        if k < 1:
            raise DataError(f"expected k of at least 1, found {k}", where=str(self.folder))

    def vectors(self, ids: Iterable[str]) -> Vectors:
        """Return the vectors of documents, as `Index.vectors`."""
        now = self._now
        return now.vectors(now.rows_of(list(ids)))

    def documents(self, ids: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the stored columns of documents, as `Index.documents`."""
        now = self._now
        return now.documents(np.flatnonzero(now.live) if ids is None else now.rows_of(list(ids)))

    def thumbnails(self, ids: Iterable[str]) -> list[bytes | None]:
        """Return the small images of documents, as `Index.thumbnails`."""
        now = self._now
        return now.thumbnails(now.rows_of(list(ids)))

    def upsert(
        self,
        documents: pl.DataFrame,
        vectors: Vectors,
        thumbnails: Sequence[bytes | None] | None = None,
    ) -> None:
        """Write documents, as `Index.upsert`."""
        check_vectors(vectors, self.metadata.dimension, str(self.folder), documents.height)
        if thumbnails is not None and len(thumbnails) != documents.height:
            raise DataError(
                f"expected {documents.height} thumbnails, found {len(thumbnails)}",
                where=str(self.folder),
            )
        with self._writing() as now:
            stored = now.segments[0].documents.schema
            documents = check_documents(documents, self.folder, stored)
            if documents.is_empty():
                return
            number = now.state.version + 1
            live = now.live & ~now.holds(documents[KEY])
            live = np.concatenate([live, np.ones(documents.height, dtype=np.bool_)])
            added = write_segment(
                self.folder, number, documents, vectors.astype(now.metadata.dtype), thumbnails
            )
            segments = [*now.state.segments, added]
            if len(segments) > _MOST_SEGMENTS or 2 * live.sum() < len(live):
                self._write_compacted(now, segments, live, number + 1)
            else:
                self._write_live(now, segments, live, number)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents, as `Index.delete`."""
        with self._writing() as now:
            dead = now.holds(ids)
            if dead.any():
                number = now.state.version + 1
                self._write_live(now, now.state.segments, now.live & ~dead, number)
        return int(dead.sum())

    @classmethod
    def _header(cls, metadata: IndexMetadata, state: State) -> Header:
        return Header(store=cls.name, metadata=metadata, state=state.model_dump())

    @contextmanager
    def _writing(self) -> Iterator[Snapshot]:
        """Keep other writers out, and begin with what the last one left."""
        with _locked(self.folder):
            yield Snapshot.open(self.folder, read_header(self.folder))

    def _write_live(
        self,
        before: Snapshot,
        segments: list[SegmentState],
        live: npt.NDArray[np.bool_],
        number: int,
    ) -> None:
        path = fresh(self.folder / live_name(number))
        np.save(path, live)
        sync(path)
        self._commit(before, State(version=number, segments=segments, live=number))

    def _write_compacted(
        self,
        before: Snapshot,
        segments: list[SegmentState],
        live: npt.NDArray[np.bool_],
        number: int,
    ) -> None:
        """Write the live rows of all segments into one."""
        shape, dtype = (int(live.sum()), self.metadata.dimension), self.metadata.dtype
        path = fresh(self.folder / vectors_name(number))
        out = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        frames, images, start, done = [], [], 0, 0
        for segment in open_segments(self.folder, before.metadata, segments, before.segments):
            rows = np.flatnonzero(live[start : start + segment.state.rows])
            for first in range(0, len(rows), _AT_ONCE):
                part = rows[first : first + _AT_ONCE]
                out[done : done + len(part)] = segment.vectors[part]
                done += len(part)
            frames.append(segment.documents[rows.tolist()])
            images.append((segment.thumbnails, rows.tolist()))
            start += segment.state.rows
        out.flush()
        small = merged_thumbnails(images) if any(kept for kept, _ in images) else None
        merged = write_segment(self.folder, number, pl.concat(frames), None, small)
        self._commit(before, State(version=number, segments=[merged]))

    def _commit(self, before: Snapshot, state: State) -> None:
        """Make the new files count, and remove those that count no longer."""
        header = self._header(before.metadata, state)
        write_header(self.folder, header)
        kept = before.state.numbers() | state.numbers()
        self._now = Snapshot.open(self.folder, header, before.segments)
        for path in self.folder.iterdir():
            match = _FILE.fullmatch(path.name)
            # Who read the header just before this write opens the files of then.
            if match and int(match[1]) not in kept:
                path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out."""
    with storage_errors(folder):
        lock = open_regular(str(folder / _LOCK), os.O_RDWR | os.O_CREAT)
        try:
            refuse_others(lock, folder)
            yield
        finally:
            os.close(lock)


def hits_frame(now: Snapshot, hits: Hits) -> pl.DataFrame:
    """Return hits, of which each has the row of a snapshot, as `Index.search` does."""
    queries, ranks = np.nonzero(hits.indices >= 0)
    return pl.DataFrame(
        {
            "query": queries.astype(np.int64),
            "rank": ranks.astype(np.int64) + 1,
            KEY: now.ids.gather(hits.indices[queries, ranks]),
            "similarity": hits.similarities[queries, ranks],
        }
    )
