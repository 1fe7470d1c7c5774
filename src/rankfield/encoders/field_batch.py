"""Rows of a table as a batch that an encoder takes: token tensors and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.base import Encoder, Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.fusion import FieldBatch, FieldInputs

__all__ = ["field_batch"]


def field_batch(
    encoder: Encoder,
    columns: Sequence[FieldColumn],
    rows: NDArray[np.int64],
    side: Side,
    pixels: Mapping[str, Tensor],
) -> FieldBatch:
    """Return the batch of these rows, each distinct text and image in it once.

    Args:
        encoder: makes tokens of texts.
        columns: the table's fields, from `field_columns`.
        rows: row numbers.
        side: which prefix texts get.
        pixels: image field → uint8 U × H × W × 3, the images of `column.codes_of(rows)`.
    """
    inputs = {}
    for column in columns:
        positions, codes = column.entries_of(rows)
        if not len(positions):
            continue
        distinct, index = np.unique(codes, return_inverse=True)
        if column.field.modality == "text":
            items = encoder.tokenize([str(column.values[c]) for c in distinct], side)
        else:
            items = {"pixels": pixels[column.field.name]}
        inputs[column.field.name] = FieldInputs(
            items, torch.from_numpy(positions), torch.from_numpy(index), column.multi_valued
        )
    return FieldBatch(len(rows), inputs)
