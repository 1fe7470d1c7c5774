"""Queries and documents of a data set as a client embeds them, fused as the model fuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageSource
from rankfield.encoders.pipeline import CHUNK, fuse_columns, joined
from rankfield.encoders.rows import FrameRows
from rankfield.errors import ModelError
from rankfield.images import loaded_image
from rankfield.progress import progress
from rankfield.publishing.client import AnyClient, Client, RecordClient
from rankfield.schema import Field, RankingDataset

__all__ = ["ClientEmbedder"]

_BATCH = 64
_UNIT = 1e-3
"""How far from 1 the length of a client's vector may be; a bfloat16 vector is within it."""


@dataclass(frozen=True)
class ClientEmbedder:
    """An `Embedder` of `rankfield.evaluation` around a client.

    name: of the layout, for messages.
    fields: of both sides, with the weights of the fusion.
    dimension: d of the fused embeddings; the client's vectors have d or more dimensions.
    """

    name: str
    client: AnyClient
    fields: Mapping[Side, Sequence[Field]]
    dimension: int

    def embed_queries(self, dataset: RankingDataset, queries: pl.DataFrame) -> NDArray[np.float32]:
        """Return unit embeddings, float32 (rows, d), in the order of the rows.

        Raises:
            ModelError: the client gives vectors of another shape or length.
        """
        return self._embed(dataset, queries, "query")

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> NDArray[np.float32]:
        """Return unit embeddings, float32 (rows, d), in the order of the rows.

        Raises:
            ModelError: the client gives vectors of another shape or length.
        """
        return self._embed(dataset, documents, "document")

    def _embed(
        self, dataset: RankingDataset, frame: pl.DataFrame, side: Side
    ) -> NDArray[np.float32]:
        rows = FrameRows.of(dataset, frame, side, self.fields[side])
        whole = isinstance(self.client, RecordClient)
        chunks = []
        with progress(f"{self.name}: {side} rows", len(rows), unit="rows") as advance:
            for start in range(0, len(rows), CHUNK):
                size = min(CHUNK, len(rows) - start)
                columns = [c for c in rows.columns(start, start + size) if len(c.values)]
                if whole:
                    chunk = self._whole(columns, rows.image, size, side)
                else:
                    vectors = [self._vectors(c, rows.image, side) for c in columns]
                    chunk = fuse_columns(vectors, columns, size, self.dimension)
                chunks.append((start, chunk))
                advance(size)
        return joined(chunks, len(rows), self.dimension)

    def _vectors(self, column: FieldColumn, image: ImageSource, side: Side) -> torch.Tensor:
        """Return U × D vectors of a column's distinct values; texts of like length together."""
        assert not isinstance(self.client, RecordClient)
        client: Client = self.client
        values = column.values
        if column.field.modality == "text":
            order = np.argsort([len(str(value)) for value in values], kind="stable")
            texts = [str(values[i]) for i in order]
            found = self._batched(texts, lambda part: client.encode_texts(part, side))
            vectors = np.empty_like(found)
            vectors[order] = found
        else:
            vectors = self._batched(values, lambda part: client.encode_images(_opened(part, image)))
        self._require(vectors.shape[1] >= self.dimension, f"{vectors.shape[1]} dimensions")
        return torch.from_numpy(vectors)

    def _whole(
        self, columns: Sequence[FieldColumn], image: ImageSource, size: int, side: Side
    ) -> NDArray[np.float32]:
        assert isinstance(self.client, RecordClient)
        encode = self.client.encode_records
        vectors = self._batched(
            range(size), lambda part: encode(_records(columns, image, part), side)
        )
        self._require(vectors.shape[1] == self.dimension, f"{vectors.shape[1]} dimensions")
        return vectors

    def _batched(
        self, items: Sequence[Any], encode: Callable[[Any], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Encode items batch by batch; the vectors must be of unit length, or zero."""
        found = []
        for start in range(0, len(items), _BATCH):
            part = items[start : start + _BATCH]
            vectors = np.asarray(encode(part), dtype=np.float32)
            self._require(
                vectors.ndim == 2 and len(vectors) == len(part),
                f"an array of shape {vectors.shape} for {len(part)} records",
            )
            lengths = np.linalg.norm(vectors, axis=1)
            off = np.minimum(np.abs(lengths - 1), lengths)
            self._require(
                bool((off <= _UNIT).all()), f"a vector of length {lengths[np.argmax(off)]:.4g}"
            )
            found.append(vectors)
        return np.concatenate(found)

    def _require(self, holds: bool, found: str) -> None:
        if not holds:
            raise ModelError(
                f"the client gives {found}, expected unit vectors of {self.dimension} dimensions",
                where=self.name,
            )


def _opened(values: Sequence[Any], image: ImageSource) -> list[Image.Image]:
    opened = []
    for value in values:
        with loaded_image(image(value)) as one:
            opened.append(one.copy())
    return opened


def _records(
    columns: Sequence[FieldColumn], image: ImageSource, rows: Sequence[int]
) -> list[dict[str, Any]]:
    """Return these rows as a `RecordClient` takes them."""
    records: list[dict[str, Any]] = [{} for _ in rows]
    for column in columns:
        for record, row in zip(records, rows, strict=True):
            codes = column.entries[column.starts[row] : column.starts[row + 1]]
            values = [column.values[code] for code in codes]
            if not values:
                continue
            if column.field.modality == "text":
                record[column.field.name] = str(values[0])
            else:
                images = _opened(values, image)
                record[column.field.name] = images if column.multi_valued else images[0]
    return records
