"""Learnt field weights find the field that tells the documents apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.encoders.field_weights import FieldWeights
from rankfield.encoders.fusion import fuse
from rankfield.losses import contrastive_loss
from rankfield.schema import Field
from trained import SEED, assert_above


def _unit(generator: torch.Generator, rows: int) -> Tensor:
    return F.normalize(torch.randn(rows, 16, generator=generator), dim=-1)


@pytest.mark.trained
@pytest.mark.parametrize("tells", ["image", "title"])
def test_the_weight_goes_to_the_field_that_tells(tells: str) -> None:
    """One field is close to the query, the other says nothing: nothing but the weights learns."""
    generator = torch.Generator().manual_seed(SEED)
    queries = _unit(generator, 64)
    parts = {name: _unit(generator, 64) for name in ("image", "title")}
    parts[tells] = F.normalize(queries + 0.5 * parts[tells], dim=-1)
    learnt = FieldWeights((Field("image", "image", 0.5), Field("title", "text", 0.5)))
    parameters = list(learnt.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    for _ in range(100):
        loss = contrastive_loss(queries, fuse(parts, learnt()), torch.ones(64), 10.0)
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()
    weights = {field.name: field.weight for field in learnt.fields()}
    assert_above(f"weight of the field that tells ({tells})", weights[tells], 0.7)
    assert sum(weights.values()) == pytest.approx(1.0)
