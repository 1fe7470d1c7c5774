"""Embeddings kept on disk, so that a model embeds the same records once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import InputError, OutputError
from rankfield.index.base import KEY
from rankfield.index.build import KEYS, check_dtype, chunks_of, metadata_of
from rankfield.index.exact import ExactIndex
from rankfield.outputs import storage_errors
from rankfield.schema import RankingDataset

__all__ = ["CachedEmbedder"]


class CachedEmbedder:
    """A model that embeds through a folder of indexes, for `evaluate` and `retrieve`.

    FOLDER/KEY is an exact index of the queries or documents. KEY is a hash of all that the vectors
    depend on: the model's fingerprint, its dimension, the version of rankfield, the ids and the
    side's fields of the rows and, of each image file, its size and time of change. Whatever differs
    is embedded again beside what is there; remove the folder of a KEY to free its space.
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
        check_dtype(dtype)
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
        return self.index(dataset, queries, "query").matrix

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return unit embeddings (rows, D) of these documents, memory-mapped and read-only.

        Raises:
            OutputError: the cache cannot be written, or another process is writing this entry.
            DataError, ImageError: as `RankingModel.embed_documents`.
        """
        return self.index(dataset, documents, "document").matrix

    def index(self, dataset: RankingDataset, frame: pl.DataFrame, side: Side) -> ExactIndex:
        """Return the index of these rows of a data set, built if it is not there."""
        metadata = metadata_of(
            self._model, self._fingerprint, dataset, frame, side, dtype=self._dtype
        )
        name = hashlib.sha256(json.dumps([side, metadata.origin()]).encode()).hexdigest()[:16]
        folder = self._folder / name
        if folder.is_symlink():
            raise OutputError(
                "is a link; expected a folder of the cache",
                where=str(folder),
                remedy="Remove the link, or name another cache.",
            )
        with storage_errors(folder):
            try:
                found = ExactIndex.open(folder)
                if found.metadata.origin() == metadata.origin() and not found.changed:
                    return found
            except InputError:
                pass  # missing or damaged: it is made again
            ids = frame.select(pl.col(KEYS[side]).alias(KEY))
            chunks = chunks_of(self._model, dataset, frame, side)
            return ExactIndex.build(folder, metadata, ids, chunks, overwrite=True)
