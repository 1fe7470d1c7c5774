"""The files of an exact index: vectors and documents that were written together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from rankfield.durable import sync
from rankfield.errors import InputError
from rankfield.index.base import KEY
from rankfield.index.metadata import IndexMetadata
from rankfield.io.matrix import map_matrix
from rankfield.io.parquet import read_parquet
from rankfield.paths import require_regular
from rankfield.search import Corpus, ResidentCorpus

__all__ = [
    "Segment",
    "SegmentState",
    "documents_name",
    "fresh",
    "mapped",
    "vectors_name",
    "write_segment",
]

_REMEDY = "Build the index again."


class SegmentState(BaseModel):
    """What the header says of a segment: its number, which its files bear, and its rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: NonNegativeInt
    rows: NonNegativeInt


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
    """

    state: SegmentState
    vectors: npt.NDArray[np.floating]
    documents: pl.DataFrame
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
        return cls(state, vectors, documents, metadata.first_pass, metadata.oversample)

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
    _refuse_links(path)
    found = read_parquet(path, remedy=_REMEDY)
    if found.height != rows or found.schema.get(KEY) != pl.String:
        raise InputError(
            f"expected {rows} rows with the text column {KEY}, found {found.height} rows of "
            f"{', '.join(found.columns)}",
            where=str(path),
            remedy=_REMEDY,
        )
    return found


def write_segment(
    folder: Path, number: int, documents: pl.DataFrame, vectors: npt.NDArray[np.floating] | None
) -> SegmentState:
    """Write the files of a segment so that they survive a loss of power.

    Args:
        folder: of the index.
        number: of the segment.
        documents: the stored columns.
        vectors: in the index's dtype; None where their file is there already.
    """
    paths = folder / vectors_name(number), folder / documents_name(number)
    if vectors is not None:
        np.save(fresh(paths[0]), vectors)
    documents.write_parquet(fresh(paths[1]))
    for path in paths:
        sync(path)
    return SegmentState(number=number, rows=documents.height)


def fresh(path: Path) -> Path:
    """Return a path at which there is nothing any more.

    What a version left that was set aside may be a hard link to a file of the previous index.
    """
    path.unlink(missing_ok=True)
    return path


def mapped(path: Path, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """Return the array in a file, memory-mapped and read-only.

    Raises:
        InputError: it is missing, a link, damaged, or of another shape or type.
    """
    _refuse_links(path)
    try:
        require_regular(path)
        found = map_matrix(path)
    except (InputError, OSError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), remedy=_REMEDY) from error
    if found.shape != shape or found.dtype != dtype:
        raise InputError(
            f"expected {dtype} of shape {shape}, found {found.dtype} of shape {found.shape}",
            where=str(path),
            remedy=_REMEDY,
        )
    return found


def _refuse_links(path: Path) -> None:
    if path.is_symlink():
        raise InputError("is a link; expected a file of the index", where=str(path), remedy=_REMEDY)
