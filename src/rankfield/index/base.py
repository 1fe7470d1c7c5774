"""What every index can do, whatever stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.index.metadata import IndexMetadata
from rankfield.search import SearchOptions

__all__ = ["KEY", "Chunks", "Filter", "Index", "Thumbnails", "Vectors"]

KEY = "doc_id"
"""The column of ids."""

Vectors = npt.NDArray[np.float32]

Chunks = Callable[[int], Iterator[tuple[int, Vectors]]]
"""From how many rows are done to (first row, vectors) of the chunks that are left, in order; the
first chunk may begin before that."""

Thumbnails = Callable[[], Iterable[bytes | None]]
"""What makes the small images of documents, in their order: WebP, b"" for a document without an
image, None where that is not known."""

Filter = AbstractSet[str] | Callable[[pl.DataFrame], pl.Series]
"""Which documents may be found: a set of ids, or a function from the stored documents to booleans,
one for each row."""


class Index(Protocol):
    """Documents' vectors with their ids and some of their columns, searched by inner product.

    A write is whole or not at all: what returned survives a crash, what did not leaves the index
    as it was. A second writer is refused, readers go on with what they opened. A zero vector is of
    a document without anything that the model takes: it is stored and never found.
    """

    @property
    def folder(self) -> Path:
        """Where the index is."""

    @property
    def metadata(self) -> IndexMetadata:
        """What it was made with."""

    @property
    def changed(self) -> bool:
        """Whether documents were written or deleted since it was built."""

    @property
    def version(self) -> str:
        """What is written in it, as 16 hexadecimal digits: another one after every write."""

    def frozen(self) -> Index:
        """Return this index as it is now, for several reads of one state.

        Whatever is written meanwhile, it goes on to show the documents of now; what is written
        through it is not seen here.
        """
        ...

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
    ) -> Index:
        """Make an index in `folder`, and open it.

        A build that was interrupted goes on if it is called with metadata of the same origin and
        as many documents; until it is complete nothing is in `folder`, or what was there before.

        Args:
            folder: where.
            metadata: what the vectors are of.
            documents: `doc_id` and the columns to store.
            chunks: the vectors (rows, dimension) of these documents.
            overwrite: replace what is there, when the new index is complete.
            thumbnails: small images to keep of these documents; None: none are kept.

        Raises:
            DataError: an id that occurs twice.
            OutputError: something is there, another run builds it, or it cannot be written.
        """

    @classmethod
    def open(cls, folder: str | Path) -> Index:
        """Open an index.

        Raises:
            InputError: it is missing, damaged, or of another kind of store.
        """

    def search(
        self,
        vectors: Vectors,
        k: int,
        filter: Filter | None = None,
        options: SearchOptions | None = None,
        *,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Return the k documents with the largest inner product for each vector.

        An index whose first pass, or whose store, has no proven error may miss some of them; the
        others have their exact similarities and ranks.

        Columns: ``query`` (row of `vectors`), ``rank`` from 1, ``doc_id``, ``similarity`` (float32,
        the exact inner product); by query and rank. Ties keep the first: the document that was
        written before.

        Args:
            vectors: float32 (Q, D); a zero vector finds nothing.
            k: how many documents, at least 1; fewer where there are fewer.
            filter: which documents may be found; all by default.
            options: how to search.
            exact: miss none, which takes longer.

        Raises:
            DataError: k < 1, another width, or a vector that is not finite.
            InputError: a filter that does not say yes or no for each document.
        """

    def upsert(
        self,
        documents: pl.DataFrame,
        vectors: Vectors,
        thumbnails: Sequence[bytes | None] | None = None,
    ) -> None:
        """Write documents, in place of those that have the same ids.

        Args:
            documents: `doc_id` and the stored columns.
            vectors: float32 (rows, D).
            thumbnails: small images of these documents, as `Thumbnails` makes them.

        Raises:
            DataError: an id that occurs twice or is missing, a column that is missing or of
                another type, another width, or a vector that is not finite.
            OutputError: another process is writing, or the disk is full.
        """

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents and return how many there were; unknown ids are passed over.

        Raises:
            OutputError: another process is writing, or the disk is full.
        """

    def vectors(self, ids: Iterable[str]) -> Vectors:
        """Return the vectors of documents, float32 (n, D), in the order of the ids.

        Raises:
            DataError: an unknown id.
        """

    def documents(self, ids: Iterable[str] | None = None) -> pl.DataFrame:
        """Return `doc_id` and the stored columns, in the order of the ids, or of all documents.

        Raises:
            DataError: an unknown id.
        """

    def thumbnails(self, ids: Iterable[str]) -> list[bytes | None]:
        """Return the small images of documents, in the order of the ids.

        Each is WebP, b"" of a document without an image, None where the index keeps none of it.

        Raises:
            DataError: an unknown id.
        """

    def __len__(self) -> int:
        """Return the number of documents."""
        ...
