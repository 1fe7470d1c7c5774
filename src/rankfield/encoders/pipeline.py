"""The one pipeline from rows to embeddings, whoever asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageSource
from rankfield.encoders.fusion import FieldVectors, fuse_fields
from rankfield.encoders.modes import evaluating
from rankfield.encoders.rows import Rows
from rankfield.progress import progress

if TYPE_CHECKING:
    from rankfield.encoders.model import RankingModel

__all__ = ["CHUNK", "embedded", "joined"]

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
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (first row, n × d unit embeddings of its chunk), in the order of the rows.

    Chunks are of one size and start at its multiples, whatever is done already: an embedding
    depends on its chunk in the last bits. A row without any of the fields is zero.

    Args:
        model: whose encoder is used, in evaluation mode.
        rows: with the fields, and the weights that they are fused by.
        side: which prefixes texts get.
        dimension: d, at most the encoder's D.
        batch_size: texts or images that are encoded at once.
        done: how many rows to leave out, at least; the chunk they end in is made again.
        show: whether to show progress.

    Raises:
        ImageError: an image that is missing, before anything is embedded, or cannot be read.
    """
    first = done // CHUNK * CHUNK if done < len(rows) else len(rows)
    rows.require_images(first)
    shown = progress(f"embed {side} rows", len(rows), done=first, unit="rows")
    with evaluating(model), shown if show else nullcontext() as advance:
        for start in range(first, len(rows), CHUNK):
            stop = min(start + CHUNK, len(rows))
            # A mode that ends before the caller gets control.
            with torch.inference_mode():
                columns = rows.columns(start, stop)
                found = {
                    column.field.name: _vectors(model, column, rows.image, side, batch_size)
                    for column in columns
                    if len(column.values)
                }
                chunk = _fused(found, columns, stop - start, dimension)
            yield start, chunk
            if advance is not None:
                advance(stop - start)


def joined(
    chunks: Iterable[tuple[int, NDArray[np.float32]]], size: int, dimension: int
) -> NDArray[np.float32]:
    """Return the chunks of `embedded` as one array, size × dimension."""
    out = np.empty((size, dimension), dtype=np.float32)
    for start, chunk in chunks:
        out[start : start + len(chunk)] = chunk
    return out


def _fused(
    vectors: Mapping[str, Tensor], columns: Sequence[FieldColumn], size: int, dimension: int
) -> NDArray[np.float32]:
    """Fuse the vectors of the columns' distinct values."""
    if not vectors:
        return np.zeros((size, dimension), dtype=np.float32)
    found = {}
    for column in columns:
        name = column.field.name
        if name in vectors:
            raw = vectors[name]
            places, codes = column.entries_of(np.arange(size))
            rows, index = torch.from_numpy(places), torch.from_numpy(codes)
            found[name] = FieldVectors(
                raw, rows.to(raw.device), index.to(raw.device), column.multi_valued
            )
    weights = {column.field.name: column.field.weight for column in columns}
    fused, _ = fuse_fields(size, found, weights, dimension)
    return fused.cpu().numpy()


def _vectors(
    model: RankingModel, column: FieldColumn, image: ImageSource, side: Side, batch_size: int
) -> Tensor:
    """Encode a column's distinct values, U × D; texts of like length share a batch."""
    text = column.field.modality == "text"
    order = np.arange(len(column.values))
    if text:
        order = np.argsort([len(str(v)) for v in column.values], kind="stable")
    out: Tensor | None = None
    for part in np.split(order, range(batch_size, len(order), batch_size)):
        values = [column.values[i] for i in part]
        if text:
            items = model.encoder.tokenize([str(value) for value in values], side)
        else:
            items = {"pixels": model.read_pixels(values, image)}
        on_device = {name: item.to(model.device) for name, item in items.items()}
        vectors = model.encoder.encode(column.field.modality, on_device)
        if out is None:
            out = vectors.new_empty(len(order), vectors.shape[1])
        out[torch.from_numpy(part).to(vectors.device)] = vectors
    assert out is not None
    return out
