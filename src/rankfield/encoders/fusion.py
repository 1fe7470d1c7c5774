"""Several fields of a record, some of them absent, fused into one embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses.matryoshka import truncated
from rankfield.on_device import on_device

__all__ = [
    "FieldBatch",
    "FieldInputs",
    "FieldVectors",
    "field_embeddings",
    "fuse",
    "fuse_fields",
]


@dataclass(frozen=True)
class FieldInputs:
    """What one field of a batch of records holds, each distinct text or image once.

    `items` is what the encoder takes for U distinct texts (token tensors) or images (uint8
    U × H × W × 3); every tensor has U rows. Record `rows[i]` holds item `index[i]`; a record whose
    field is absent does not occur in `rows`. Only where `multi_valued` is true may a record occur
    more than once: it holds a list of images.
    """

    items: Mapping[str, Tensor]
    rows: Tensor
    index: Tensor
    multi_valued: bool = False

    def to(self, device: torch.device) -> FieldInputs:
        """Return the same on another device."""
        items = {k: on_device(v, device) for k, v in self.items.items()}
        rows, index = on_device(self.rows, device), on_device(self.index, device)
        return FieldInputs(items, rows, index, self.multi_valued)


@dataclass(frozen=True)
class FieldBatch:
    """The fields of `size` records."""

    size: int
    inputs: Mapping[str, FieldInputs]

    def to(self, device: torch.device) -> FieldBatch:
        """Return the same on another device."""
        return FieldBatch(self.size, {k: v.to(device) for k, v in self.inputs.items()})


@dataclass(frozen=True)
class FieldVectors:
    """One field of a batch of records, encoded: record `rows[i]` holds `vectors[index[i]]`.

    vectors: U × D, one for each distinct item, not normalised.
    rows, index, multi_valued: as in `FieldInputs`.
    """

    vectors: Tensor
    rows: Tensor
    index: Tensor
    multi_valued: bool


def fuse_fields(
    size: int,
    fields: Mapping[str, FieldVectors],
    weights: Mapping[str, float | Tensor],
    dimension: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the fused N × d unit embeddings, and each field's own N × D.

    Both are float32 or wider; a record without the field has a zero row.

    Args:
        size: number of records N.
        fields: field name → its vectors; one at least.
        weights: field name → ω_f, as `fuse` takes them.
        dimension: d; the fused embeddings are `truncated` to it.
    """
    parts = {
        name: field_embeddings(
            size, field.vectors, field.rows, field.index, multi_valued=field.multi_valued
        )
        for name, field in fields.items()
    }
    return fuse(parts, weights, dimension), parts


def field_embeddings(
    size: int, vectors: Tensor, rows: Tensor, index: Tensor, *, multi_valued: bool = False
) -> Tensor:
    """Return one field's N × D unit embeddings v = normalise(mean over its items of normalise(x)).

    A record with one item gets normalise(x), one without the field a zero row. Half precision is
    raised to float32.

    Args:
        size: number of records N.
        vectors: U × D, one for each distinct item.
        rows, index: record `rows[i]` holds item `index[i]`.
        multi_valued: whether a record may occur in `rows` more than once.
    """
    exact = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    unit = F.normalize(exact, dim=-1)[index]
    total = unit.new_zeros(size, unit.shape[1]).index_add(0, rows, unit)
    # the length of a mean drops out, so the sum will do
    return F.normalize(total, dim=-1) if multi_valued else total


def fuse(
    parts: Mapping[str, Tensor],
    weights: Mapping[str, float | Tensor],
    dimension: int | None = None,
) -> Tensor:
    """Return N × d unit embeddings e = normalise(Σ_f ω_f · v_f), `truncated` to d dimensions.

    ω are renormalised over the fields that a record has; the outer normalisation makes that scale
    drop out, so plain weighted sums suffice. A record without any field gets a zero row.

    Args:
        parts: field name → N × D unit embeddings v_f, zero where a record lacks the field, from
            `field_embeddings`; they are added up in this order.
        weights: field name → ω_f > 0, a number or a tensor of shape () that may need a gradient.
        dimension: d; by default D.

    Raises:
        ValueError: there are no parts.
    """
    total: Tensor | None = None
    for name, part in parts.items():
        weighted = weights[name] * part
        total = weighted if total is None else total + weighted
    if total is None:
        raise ValueError("no field of these records is present")
    fused = F.normalize(total, dim=-1)
    return fused if dimension is None else truncated(fused, dimension)
