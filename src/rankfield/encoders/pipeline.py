"""The one pipeline from rows to embeddings, whoever asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageSource
from rankfield.encoders.fusion import FieldVectors, fuse_fields
from rankfield.encoders.modes import evaluating
from rankfield.encoders.precision import chosen_precision, computing_in
from rankfield.encoders.rows import Rows
from rankfield.encoders.sequence import SequenceEncoder
from rankfield.encoders.sequence_batch import prepared, sequence_embeddings
from rankfield.encoders.text_batches import batch_tokens, text_batches
from rankfield.errors import InputError
from rankfield.on_device import on_device
from rankfield.progress import progress
from rankfield.schema import RankingDataset, require_dataset

if TYPE_CHECKING:
    from rankfield.encoders.model import RankingModel

__all__ = ["CHUNK", "embedded", "embedded_table", "encode_rows", "fuse_columns", "joined"]

_RECORDS = "Records of your own go to encode_queries and encode_documents."

CHUNK = 2048
"""Rows that are embedded together: their distinct texts share batches."""


def embedded(
    model: RankingModel,
    rows: Rows,
    side: Side,
    *,
    dimension: int,
    batch_size: int,
    done: int = 0,
    show: bool = True,
    precision: str | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (first row, n × d unit embeddings of its chunk), in the order of the rows.

    Chunks start at multiples of their size, whatever is done: an embedding depends on its chunk in
    the last bits. A row without any of the fields is zero.

    Args:
        model, side: whose encoder and prefixes are used, in evaluation mode.
        rows: with the fields, and the weights that they are fused by.
        dimension: d, at most the encoder's D.
        batch_size: texts or images that are encoded at once, at most; on a CPU fewer texts, as
            small batches are faster there.
        done: how many rows to leave out; the chunk they end in is made again.
        precision: of the encoder's matrix products, one of `PRECISIONS`; by default the model's
            for documents, float32 for queries. All that comes after the encoder is float32.

    Raises:
        InputError: an unknown precision.
        ImageError: a missing image, before anything is embedded, or one that cannot be read.
    """
    encoder = model.encoder
    # Queries are few and short: what casting the weights takes is more than they save.
    usual = model.precision if side == "document" else "float32"
    precision = chosen_precision(precision or usual, encoder, model.device)
    first = done // CHUNK * CHUNK if done < len(rows) else len(rows)
    rows.require_images(first)
    shown = progress(f"embed {side} rows", len(rows), done=first, unit="rows")
    with evaluating(model), shown if show else nullcontext() as advance:
        for start in range(first, len(rows), CHUNK):
            size = min(CHUNK, len(rows) - start)
            # A mode that ends before the caller gets control.
            with torch.inference_mode(), computing_in(precision, model.device):
                columns = [c for c in rows.columns(start, start + size) if len(c.values)]
                if isinstance(encoder, SequenceEncoder) and encoder.fusion == "sequence":
                    chunk = sequence_embeddings(
                        encoder,
                        columns,
                        size,
                        side,
                        rows.image,
                        dimension=dimension,
                        batch_size=batch_size,
                    )
                else:
                    vectors = [_vectors(model, c, rows.image, side, batch_size) for c in columns]
                    chunk = fuse_columns(vectors, columns, size, dimension)
            yield start, chunk
            if advance is not None:
                advance(size)


def embedded_table(
    model: RankingModel, dataset: RankingDataset, frame: pl.DataFrame | None, side: Side
) -> NDArray[np.float32]:
    """Return what `RankingModel.embed_queries` and `embed_documents` do.

    Args:
        model: whose `embed_chunks` is asked.
        dataset: whose images the table names, or its folder.
        frame: the rows; None for all of that side.
        side: what they are.

    Raises:
        InputError: something else in place of the data set.
        DataError, ImageError: as `RankingModel.embed_chunks`.
    """
    dataset = require_dataset(dataset, remedy=_RECORDS)
    whole = dataset.queries if side == "query" else dataset.documents
    rows = whole if frame is None else frame
    return joined(model.embed_chunks(dataset, rows, side), len(rows), model.dimension)


def encode_rows(
    model: RankingModel,
    rows: Rows,
    side: Side,
    *,
    batch_size: int | None,
    show: bool | None,
    device: str | torch.device | None,
    dimension: int | None,
    precision: str | None = None,
) -> NDArray[np.float32]:
    """Return what `RankingModel.encode_queries` and `encode_documents` do.

    Args:
        model, rows, side: as `embedded`.
        batch_size, show: by default the model's, and whether there is more than one batch.
        device: where to move the model first.
        dimension: d; by default the model's.
        precision: as `embedded`.

    Raises:
        InputError: a batch size below 1, an unknown precision.
        ModelError, ImageError: a dimension out of range; as `embedded`.
    """
    dimension = model.dimension if dimension is None else model.checked_dimension(dimension)
    batch_size = model.batch_size if batch_size is None else batch_size
    if batch_size < 1:
        raise InputError(f"expected batch_size to be at least 1, found {batch_size}")
    if device is not None:
        model.to(device)
    chunks = embedded(
        model,
        rows,
        side,
        dimension=dimension,
        batch_size=batch_size,
        show=len(rows) > batch_size if show is None else show,
        precision=precision,
    )
    return joined(chunks, len(rows), dimension)


def joined(
    chunks: Iterable[tuple[int, NDArray[np.float32]]], size: int, dimension: int
) -> NDArray[np.float32]:
    """Return the chunks of `embedded` as one array, size × dimension."""
    out = np.empty((size, dimension), dtype=np.float32)
    for start, chunk in chunks:
        out[start : start + len(chunk)] = chunk
    return out


def fuse_columns(
    vectors: Sequence[Tensor], columns: Sequence[FieldColumn], size: int, dimension: int
) -> NDArray[np.float32]:
    """Return size × d unit embeddings, fused of the vectors of the columns' distinct values.

    Without columns all rows are zero.
    """
    if not columns:
        return np.zeros((size, dimension), dtype=np.float32)
    found = {}
    for column, raw in zip(columns, vectors, strict=True):
        rows, index = map(torch.from_numpy, column.entries_of(np.arange(size)))
        found[column.field.name] = FieldVectors(
            raw, rows.to(raw.device), index.to(raw.device), column.multi_valued
        )
    weights = {column.field.name: column.field.weight for column in columns}
    fused, _ = fuse_fields(size, found, weights, dimension)
    return fused.cpu().numpy()


def _vectors(
    model: RankingModel, column: FieldColumn, image: ImageSource, side: Side, batch_size: int
) -> Tensor:
    """Encode a column's distinct values, U × D."""
    values, out = column.values, None
    for rows, items in _batches(model, column, image, side, batch_size):
        moved = {name: on_device(item, model.device) for name, item in items.items()}
        vectors = model.encoder.encode(column.field.modality, moved)
        if out is None:
            out = vectors.new_empty(len(values), vectors.shape[1])
        out[on_device(torch.from_numpy(rows), vectors.device)] = vectors
    assert out is not None
    return out


def _batches(
    model: RankingModel, column: FieldColumn, image: ImageSource, side: Side, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Yield (places in the column's values, what the encoder takes)."""
    values = column.values
    if column.field.modality == "text":
        items = model.encoder.tokenize([str(value) for value in values], side)
        yield from text_batches(items, batch_size, batch_tokens(model.device))
        return
    for start in range(0, len(values), batch_size):
        rows = np.arange(start, min(start + batch_size, len(values)))
        images = [values[i] for i in rows.tolist()]
        if isinstance(model.encoder, SequenceEncoder):
            yield rows, prepared(model.encoder, [("", [one]) for one in images], side, image)
        else:
            yield rows, {"pixels": model.read_pixels(images, image)}
