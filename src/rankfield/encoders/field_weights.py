"""The weights of a side's fields, learnt along with the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from rankfield.schema import Field

__all__ = ["FieldWeights"]


class FieldWeights(nn.Module):
    """ω_f = W · exp(t_f) / Σ_g exp(t_g), with learnt t that begin at the logarithm of the weights.

    W is the total of the given weights. Only the ratios of ω count in field fusion, so this is
    ω_f = exp(t_f) on the scale of the given weights: they begin as given, stay above 0, and can be
    read beside them.

    Args:
        fields: at least two, with their weights to begin with.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__()
        self._fields = tuple(fields)
        self._total = sum(field.weight for field in fields)
        given = torch.tensor([field.weight for field in fields], dtype=torch.float64)
        self.logarithms = nn.Parameter(given.log().float())

    def forward(self) -> dict[str, Tensor]:
        """Return field name → ω_f, a float32 tensor of shape ()."""
        weights = self._total * torch.softmax(self.logarithms, dim=0)
        # a weight that underflows would be none at all
        weights = weights.clamp(min=torch.finfo(weights.dtype).tiny)
        return {field.name: weights[i] for i, field in enumerate(self._fields)}

    @torch.no_grad()
    def fields(self) -> tuple[Field, ...]:
        """Return the fields with the weights learnt so far."""
        weights = self()
        return tuple(replace(f, weight=float(weights[f.name])) for f in self._fields)
