"""Several fields of a record, some of them absent, fused into one embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.schema import Field

__all__ = ["FieldBatch", "FieldInputs", "fuse"]


@dataclass(frozen=True)
class FieldInputs:
    """What one field of a batch of records holds, each distinct text or picture once.

    `items` is what the encoder takes for U distinct texts (token tensors) or pictures (uint8
    U × H × W × 3). Record `rows[i]` holds item `index[i]`; a record whose field is absent does not
    occur in `rows`.
    """

    items: Mapping[str, Tensor]
    rows: Tensor
    index: Tensor

    def to(self, device: torch.device) -> FieldInputs:
        """Return the same on another device."""
        items = {k: v.to(device) for k, v in self.items.items()}
        return FieldInputs(items, self.rows.to(device), self.index.to(device))


@dataclass(frozen=True)
class FieldBatch:
    """The fields of `size` records."""

    size: int
    inputs: Mapping[str, FieldInputs]

    def to(self, device: torch.device) -> FieldBatch:
        """Return the same on another device."""
        return FieldBatch(self.size, {k: v.to(device) for k, v in self.inputs.items()})


def fuse(
    size: int, fields: Sequence[Field], vectors: Mapping[str, tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """Return N × D unit embeddings e = normalise(Σ_f ω_f · normalise(v_f)).

    ω are the fields' weights, renormalised over the fields that a record has; the outer
    normalisation makes that scale drop out, so plain weighted sums suffice. A record without any
    field gets a zero row. Half precision is fused in float32.

    Args:
        size: number of records N.
        fields: the fields and their weights.
        vectors: field name → (U × D vectors, rows, index): record `rows[i]` holds vector
            `index[i]`.
    """
    total: Tensor | None = None
    for field in fields:
        if field.name not in vectors:
            continue
        raw, rows, index = vectors[field.name]
        exact = raw.to(torch.promote_types(raw.dtype, torch.float32))
        unit = F.normalize(exact, dim=-1)[index]
        if total is None:
            total = unit.new_zeros(size, unit.shape[1])
        total = total.index_add(0, rows, field.weight * unit)
    if total is None:
        raise ValueError("no field of these records is present")
    return F.normalize(total, dim=-1)
