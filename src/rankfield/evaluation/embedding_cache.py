"""Embeddings kept on disk, so that a model embeds the same records once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.lib.format import open_memmap

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.rows import FrameRows
from rankfield.errors import InputError, OutputError
from rankfield.field_values import content_bytes, flat_values
from rankfield.files import open_regular, read_json, refuse_others, write_json
from rankfield.io.matrix import map_matrix
from rankfield.outputs import storage_errors
from rankfield.paths import require_regular
from rankfield.schema import Field, RankingDataset

__all__ = ["CachedEmbedder"]

_FORMAT = 1
_HEADER, _ROWS, _LOCK = "header.json", "embeddings.npy", "lock"


class CachedEmbedder:
    """A model that embeds through a cache, for `evaluate`.

    FOLDER/KEY holds `embeddings.npy`, (rows, D), and `header.json`, which says of which model and
    data they are and how many rows are done; it is written after each chunk of rows, so that a run
    that was killed goes on at the last whole chunk. KEY is a hash of all that the embeddings depend
    on: the model's fingerprint, its dimension, the version of rankfield, the side's fields of the
    rows and, of each picture file, its size and time of change. Whatever differs is embedded anew
    beside what is there; remove the folder of a KEY to free its space.

    One process at a time may write an entry; another is refused.
    """

    def __init__(
        self, model: RankingModel, fingerprint: str, folder: str | Path, *, dtype: str = "float32"
    ) -> None:
        """Let `model` embed through the cache in `folder`, which is made if it is missing.

        Args:
            model: the model, cut to its dimension already.
            fingerprint: of its folder: `encoders.fingerprint.model_fingerprint`.
            folder: where the cache lies.
            dtype: "float32", or "float16" for half the space and embeddings rounded to it.

        Raises:
            InputError: another dtype.
        """
        if dtype not in ("float32", "float16"):
            raise InputError(f"expected float32 or float16, found {dtype!r}", where="cache")
        self._model, self._fingerprint = model, fingerprint
        self._folder, self._dtype = Path(folder), dtype

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def embed_queries(
        self, dataset: RankingDataset, queries: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return unit embeddings (rows, D) of these queries, memory-mapped and read-only.

        Raises:
            OutputError: the cache cannot be written, or another process is writing this entry.
            DataError, ImageError: as `RankingModel.embed_queries`.
        """
        return self._embedded(dataset, queries, "query")

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return unit embeddings (rows, D) of these documents, memory-mapped and read-only.

        Raises:
            OutputError: the cache cannot be written, or another process is writing this entry.
            DataError, ImageError: as `RankingModel.embed_documents`.
        """
        return self._embedded(dataset, documents, "document")

    def _embedded(
        self, dataset: RankingDataset, frame: pl.DataFrame, side: Side
    ) -> npt.NDArray[np.float32]:
        FrameRows.of(dataset, frame, side, self._model.fields(side))  # refuses a missing column
        made = self._made(dataset, frame, side)
        key = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
        folder = self._folder / key
        path = folder / _ROWS
        if folder.is_symlink():
            raise OutputError(
                "is a link; expected a folder of the cache",
                where=str(folder),
                remedy="Remove the link, or name another cache.",
            )
        with storage_errors(folder):
            if _rows_done(folder, made) != frame.height:  # a whole entry is only read
                folder.mkdir(parents=True, exist_ok=True)
                descriptor = open_regular(str(folder / _LOCK), os.O_RDWR | os.O_CREAT)
                try:
                    refuse_others(descriptor, folder)
                    self._complete(dataset, frame, side, folder, made)
                finally:
                    os.close(descriptor)
        return map_matrix(path)

    def _complete(
        self,
        dataset: RankingDataset,
        frame: pl.DataFrame,
        side: Side,
        folder: Path,
        made: dict[str, Any],
    ) -> None:
        """Embed the rows that the entry lacks."""
        done = _rows_done(folder, made)
        if done is None:
            done = 0
            _start(folder, made)
        if done < frame.height:
            rows = open_memmap(folder / _ROWS, mode="r+")
            for start, chunk in self._model.embed_chunks(dataset, frame, side, done=done):
                end = start + len(chunk)
                rows[start:end] = chunk
                rows.flush()  # the rows before the header that says they are there
                write_json(folder / _HEADER, made | {"done": end})

    def _made(self, dataset: RankingDataset, frame: pl.DataFrame, side: Side) -> dict[str, Any]:
        """Return the header without how far it is: all that the embeddings depend on."""
        from rankfield import __version__

        fields = self._model.current_fields(side)
        return {
            "format": _FORMAT,
            "rankfield": __version__,
            "model": {"name": self._model.name, "fingerprint": self._fingerprint},
            "side": side,
            "data": {"name": dataset.name, "fingerprint": _fingerprint(dataset, frame, fields)},
            "rows": frame.height,
            "dimension": self._model.dimension,
            "dtype": self._dtype,
        }


def _start(folder: Path, made: dict[str, Any]) -> None:
    """Make room for an entry, of which nothing is done; one that is damaged gives way."""
    for name in (_HEADER, _ROWS):  # a link goes too, and not what it leads to
        (folder / name).unlink(missing_ok=True)
    shape = (made["rows"], made["dimension"])
    if made["rows"]:
        open_memmap(folder / _ROWS, mode="w+", dtype=made["dtype"], shape=shape).flush()
    else:
        np.save(folder / _ROWS, np.zeros(shape, made["dtype"]))
    write_json(folder / _HEADER, made | {"done": 0})


def _rows_done(folder: Path, made: dict[str, Any]) -> int | None:
    """Return how many rows of the entry are done; None if there is none, or it is damaged."""
    if any((folder / name).is_symlink() for name in (_HEADER, _ROWS)):
        return None
    try:
        header = read_json(folder / _HEADER)
        require_regular(folder / _ROWS)
        rows = map_matrix(folder / _ROWS)
        done = header.pop("done")
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    fits = rows.shape == (made["rows"], made["dimension"]) and rows.dtype == made["dtype"]
    if header != made or not fits or not isinstance(done, int) or not 0 <= done <= len(rows):
        return None
    return done


def _fingerprint(dataset: RankingDataset, frame: pl.DataFrame, fields: Iterable[Field]) -> str:
    """Return sha256 of the fields of these rows, as 16 hexadecimal digits.

    A picture in a file counts by path, size and time of change, one in the table by its content.
    """
    digest = hashlib.sha256()
    for field in fields:
        column = frame[field.name]
        for part in content_bytes(column):
            digest.update(part)
        if field.modality == "image":
            _, values = flat_values(column)
            for value in values.unique(maintain_order=True):
                source = dataset.image_source(value)
                if isinstance(source, Path) and source.exists():
                    state = source.stat()
                    digest.update(f"{state.st_size} {state.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]
