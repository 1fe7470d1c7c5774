"""The files of an exact index: vectors and documents that were written together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from rankfield.durable import sync
from rankfield.errors import InputError
from rankfield.index.base import KEY
from rankfield.index.kept_thumbnails import KeptThumbnails, write_thumbnails
from rankfield.index.mapped_files import REMEDY, fresh, mapped, refuse_links
from rankfield.index.metadata import IndexMetadata
from rankfield.io.parquet import read_parquet
from rankfield.search import Corpus, ResidentCorpus

__all__ = [
    "Segment",
    "SegmentState",
    "documents_name",
    "vectors_name",
    "write_segment",
]


class SegmentState(BaseModel):
    """What the header says of a segment.

    number: its files bear it.
    rows: how many documents it has.
    thumbnails: whether small images of them are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: NonNegativeInt
    rows: NonNegativeInt
    thumbnails: bool = False

    @model_serializer(mode="wrap")
    def _dumped(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `thumbnails` where there are none, as in indexes of before they were kept."""
        found: dict[str, Any] = dump(self)
        if not self.thumbnails:
            del found["thumbnails"]
        return found


def vectors_name(number: int) -> str:
    """Return the name of a segment's vectors."""
    return f"vectors-{number}.npy"


def documents_name(number: int) -> str:
    """Return the name of a segment's documents."""
    return f"documents-{number}.parquet"


@dataclass(frozen=True)
class Segment:
    """Rows of an index that were written together.

    vectors: float32 or float16 (rows, D), memory-mapped and read-only.
    documents: the stored columns, in memory: later writes may remove their file.
    thumbnails: small images; None where none are kept.
    """

    state: SegmentState
    vectors: npt.NDArray[np.floating]
    documents: pl.DataFrame
    thumbnails: KeptThumbnails | None = None
    first_pass: str = "none"
    oversample: int = 16

    @classmethod
    def open(cls, folder: Path, state: SegmentState, metadata: IndexMetadata) -> Segment:
        """Open the files of a segment.

        Raises:
            InputError: they are missing, damaged or of another shape than the header says.
        """
        shape = (state.rows, metadata.dimension)
        vectors = mapped(folder / vectors_name(state.number), shape, metadata.dtype)
        documents = _documents(folder / documents_name(state.number), state.rows)
        kept = KeptThumbnails.open(folder, state.number, state.rows) if state.thumbnails else None
        return cls(state, vectors, documents, kept, metadata.first_pass, metadata.oversample)

    def corpus(self, exact: bool) -> ResidentCorpus:
        """Return the rows to search, with the index's first pass or, `exact`, one without error."""
        return self._exact if exact and not self._quick.proven else self._quick

    @cached_property
    def _quick(self) -> ResidentCorpus:
        return ResidentCorpus.of(Corpus.of(self.vectors), self.first_pass, self.oversample)

    @cached_property
    def _exact(self) -> ResidentCorpus:
        return ResidentCorpus.of(self._quick.corpus)


def _documents(path: Path, rows: int) -> pl.DataFrame:
    refuse_links(path)
    found = read_parquet(path, remedy=REMEDY)
    if found.height != rows or found.schema.get(KEY) != pl.String:
        raise InputError(
            f"expected {rows} rows with the text column {KEY}, found {found.height} rows of "
            f"{', '.join(found.columns)}",
            where=str(path),
            remedy=REMEDY,
        )
    return found


def write_segment(
    folder: Path,
    number: int,
    documents: pl.DataFrame,
    vectors: npt.NDArray[np.floating] | None,
    thumbnails: Iterable[bytes | None] | None = None,
) -> SegmentState:
    """Write the files of a segment so that they survive a loss of power.

    Args:
        folder: of the index.
        number: of the segment.
        documents: the stored columns.
        vectors: in the index's dtype; None where their file is there already.
        thumbnails: small images of all rows (`kept_thumbnails`); None: none are kept.
    """
    paths = folder / vectors_name(number), folder / documents_name(number)
    if vectors is not None:
        np.save(fresh(paths[0]), vectors)
    documents.write_parquet(fresh(paths[1]))
    for path in paths:
        sync(path)
    if thumbnails is not None:
        write_thumbnails(folder, number, thumbnails, documents.height)
    rows, kept = documents.height, thumbnails is not None
    return SegmentState(number=number, rows=rows, thumbnails=kept)
