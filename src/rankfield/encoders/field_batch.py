"""Rows of a table as a batch that an encoder takes: tensors of tokens and of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.base import Encoder, Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.fusion import FieldBatch, FieldInputs

__all__ = ["CODES", "field_batch", "field_codes"]

CODES = "codes"
"""The item of a batch of codes."""


def field_codes(columns: Sequence[FieldColumn], rows: NDArray[np.int64]) -> FieldBatch:
    """Return which values these rows hold: of each field the int64 `CODES` of its U values.

    Args:
        columns: the table's fields, from `field_columns`.
        rows: row numbers.
    """
    inputs = {}
    for column in columns:
        positions, codes = column.entries_of(rows)
        if len(positions):
            distinct, index = np.unique(codes, return_inverse=True)
            inputs[column.field.name] = FieldInputs(
                {CODES: torch.from_numpy(distinct)},
                torch.from_numpy(positions),
                torch.from_numpy(index),
                column.multi_valued,
            )
    return FieldBatch(len(rows), inputs)


def field_batch(
    encoder: Encoder,
    columns: Sequence[FieldColumn],
    rows: NDArray[np.int64],
    side: Side,
    images: Mapping[str, Mapping[str, Tensor]],
) -> FieldBatch:
    """Return the batch of these rows, each distinct text and image in it once.

    Args:
        encoder: makes tokens of texts.
        columns: the table's fields, from `field_columns`.
        rows: row numbers.
        side: which prefix texts get.
        images: image field → what the encoder takes for the images of `column.codes_of(rows)`:
            `pixels`, uint8 U × H × W × 3, or `features`.
    """
    batch = field_codes(columns, rows)
    inputs = {}
    for column in columns:
        held = batch.inputs.get(column.field.name)
        if held is None:
            continue
        if column.field.modality == "text":
            texts = [str(text) for text in column.take(held.items[CODES].numpy())]
            items = encoder.tokenize(texts, side)
        else:
            items = dict(images[column.field.name])
        inputs[column.field.name] = replace(held, items=items)
    return replace(batch, inputs=inputs)
