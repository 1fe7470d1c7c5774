"""Records as sequences of texts and images: which there are, and what the encoder takes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageSource, ImageValue
from rankfield.encoders.field_batch import CODES, field_codes
from rankfield.encoders.fusion import FieldBatch, FieldInputs, field_embeddings
from rankfield.encoders.sequence import SequenceEncoder
from rankfield.images import open_image
from rankfield.losses.matryoshka import truncated
from rankfield.on_device import on_device

__all__ = [
    "SEQUENCE",
    "Sequences",
    "prepared",
    "record_sequences",
    "sequence_batch",
    "sequence_embeddings",
]

SEQUENCE = ""
"""What the sequences of records are called among the fields of a batch: no field has this name."""

_SEPARATOR = "\n"


@dataclass(frozen=True)
class Sequences:
    """The records of a table as sequences, each distinct one once.

    contents: U texts, "" for none, with the images of each.
    rows, index: record `rows[i]` is sequence `index[i]`; one without any field does not occur.
    """

    contents: Sequence[tuple[str, Sequence[ImageValue]]]
    rows: Tensor
    index: Tensor


def record_sequences(columns: Sequence[FieldColumn], codes: FieldBatch) -> Sequences:
    """Return the records of a batch as sequences.

    The texts of a record are joined by line breaks; texts and images are in the order of the
    columns.

    Args:
        columns: the fields of a table.
        codes: which values the records hold, from `field_codes`.
    """
    held: dict[int, list[tuple[int, int]]] = {}
    for number, column in enumerate(columns):
        inputs = codes.inputs.get(column.field.name)
        if inputs is None:
            continue
        entries = inputs.items[CODES][inputs.index]
        for row, code in zip(inputs.rows.tolist(), entries.tolist(), strict=True):
            held.setdefault(row, []).append((number, code))
    rows = sorted(held)
    distinct: dict[tuple[tuple[int, int], ...], int] = {}
    index = [distinct.setdefault(tuple(held[row]), len(distinct)) for row in rows]
    return Sequences(
        [_content(columns, places) for places in distinct],
        torch.tensor(rows, dtype=torch.long),
        torch.tensor(index, dtype=torch.long),
    )


def _content(
    columns: Sequence[FieldColumn], places: Sequence[tuple[int, int]]
) -> tuple[str, list[ImageValue]]:
    texts, images = [], []
    for number, code in places:
        column = columns[number]
        value = column.values[code]
        if column.field.modality == "text":
            texts.append(str(value))
        else:
            images.append(value)
    return _SEPARATOR.join(texts), images


def prepared(
    encoder: SequenceEncoder,
    contents: Sequence[tuple[str, Sequence[ImageValue]]],
    side: Side,
    source: ImageSource,
) -> dict[str, Tensor]:
    """Return what the encoder takes of these texts and images.

    Args:
        encoder: whose processor prepares them.
        contents: at least one.
        side: whose prompt they get.
        source: from a value of an image field to what `images.open_image` takes.

    Raises:
        ImageError: an image that cannot be read.
        ModelError: as `SequenceEncoder.prepare`.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        opened = [
            (text, list(pool.map(lambda value: open_image(source(value)), images)))
            for text, images in contents
        ]
    return encoder.prepare(opened, side)


def sequence_batch(
    encoder: SequenceEncoder,
    columns: Sequence[FieldColumn],
    codes: FieldBatch,
    side: Side,
    source: ImageSource,
) -> FieldBatch:
    """Return a batch whose items are prepared, one field `SEQUENCE` or all fields by themselves.

    Args:
        encoder: of the model.
        columns: the fields of a table.
        codes: which of their values the records hold, from `field_codes`.
        side: whose prompt they get.
        source: as in `prepared`.

    Raises:
        ImageError, ModelError: as `prepared`.
    """
    if encoder.fusion == "sequence":
        found = record_sequences(columns, codes)
        if not found.contents:
            return replace(codes, inputs={})
        items = prepared(encoder, found.contents, side, source)
        return replace(codes, inputs={SEQUENCE: FieldInputs(items, found.rows, found.index)})
    inputs = {}
    for column in columns:
        held = codes.inputs.get(column.field.name)
        if held is not None:
            contents = [_content([column], [(0, code)]) for code in held.items[CODES].tolist()]
            items = prepared(encoder, contents, side, source)
            inputs[column.field.name] = replace(held, items=items)
    return replace(codes, inputs=inputs)


def sequence_embeddings(
    encoder: SequenceEncoder,
    columns: Sequence[FieldColumn],
    size: int,
    side: Side,
    source: ImageSource,
    *,
    dimension: int,
    batch_size: int,
) -> NDArray[np.float32]:
    """Return size × d unit embeddings of the columns' records, zeros for one without any field.

    Args:
        encoder: in evaluation mode, which fuses by sequence.
        columns: the fields of the records.
        size: number of records.
        side: whose prompt they get.
        source: as in `prepared`.
        dimension: d, at most the encoder's D.
        batch_size: sequences that are encoded at once.

    Raises:
        ImageError, ModelError: as `prepared`.
    """
    found = record_sequences(columns, field_codes(columns, np.arange(size, dtype=np.int64)))
    device = next(encoder.parameters()).device
    vectors = torch.zeros(len(found.contents), encoder.dimension, device=device)
    for places in _batches(found, batch_size):
        items = prepared(encoder, [found.contents[i] for i in places], side, source)
        moved = {name: on_device(item, device) for name, item in items.items()}
        vectors[on_device(torch.tensor(places), device)] = encoder.encode("text", moved).float()
    rows, index = found.rows.to(device), found.index.to(device)
    unit = truncated(field_embeddings(size, vectors, rows, index), dimension)
    return unit.cpu().numpy()


def _batches(found: Sequences, size: int) -> Iterator[list[int]]:
    """Yield the numbers of the sequences that share a batch: of few images, and short, first."""
    lengths = [(len(images), len(text)) for text, images in found.contents]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        yield order[start : start + size]
