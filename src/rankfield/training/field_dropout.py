"""Leaving fields out at random while training, so that a model does not depend on one field."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rankfield.encoders.fusion import FieldBatch, FieldInputs

__all__ = ["drop_fields"]


def drop_fields(batch: FieldBatch, share: float, *, generator: torch.Generator) -> FieldBatch:
    """Return the batch without some of its fields, drawn at random.

    Each field that a record has is dropped with probability `share`, a list of images as a whole,
    independently of all others; a record that would lose all of them keeps one, drawn uniformly.
    Texts and images that no record holds any more are left out, and are not encoded. With a share
    of 0 nothing is drawn.

    Args:
        batch: on the CPU.
        share: 0 ≤ share < 1.
        generator: on the CPU.
    """
    if not share or not batch.inputs:
        return batch
    names = list(batch.inputs)
    present = torch.zeros(len(names), batch.size, dtype=torch.bool)
    for i, name in enumerate(names):
        present[i, batch.inputs[name].rows] = True
    kept = present & (torch.rand(present.shape, generator=generator) >= share)
    chances = torch.rand(present.shape, generator=generator)
    rescued = chances.masked_fill(~present, -1.0).argmax(dim=0)
    lost = ~kept.any(dim=0) & present.any(dim=0)
    kept[rescued[lost], lost.nonzero()[:, 0]] = True
    inputs = {}
    for name, keeps in zip(names, kept, strict=True):
        if keeps.any():
            inputs[name] = _only(batch.inputs[name], keeps)
    return replace(batch, inputs=inputs)


def _only(inputs: FieldInputs, records: Tensor) -> FieldInputs:
    """Keep the entries of these records (bool N) and the items that they hold."""
    entries = records[inputs.rows]
    used, index = torch.unique(inputs.index[entries], return_inverse=True)
    items = {name: item[used] for name, item in inputs.items.items()}
    return replace(inputs, items=items, rows=inputs.rows[entries], index=index)
