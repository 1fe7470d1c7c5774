from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import reference
from judged_batches import (
    PATTERNS,
    SHAPES,
    assert_same,
    random_batch,
    soft_labels,
    value_and_gradients,
)
from rankfield.losses import JudgedPairs, sigmoid_loss
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.reduction import Direction

each_target = pytest.mark.parametrize("target", ["mask", "soft", "ranked"])
each_direction = pytest.mark.parametrize(
    "direction", ["query_to_document", "document_to_query", "both"]
)


@each_target
@each_direction
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("reduction", ["mean", "batchmean"])
def test_equals_plain_loops(
    target: Target, direction: Direction, pattern: str, reduction: str
) -> None:
    keywords: dict[str, Any] = {"target": target, "direction": direction, "reduction": reduction}
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed)
        found = value_and_gradients(partial(sigmoid_loss, logit_bias=-10.0, **keywords), batch)
        loops = partial(reference.sigmoid_loops, bias=-10.0, **keywords)
        assert_same(found, value_and_gradients(loops, batch))


@each_target
@each_direction
def test_of_one_judgment_each_it_is_siglip(target: Target, direction: Direction) -> None:
    queries, documents, _ = vars(random_batch(9, 9, seed=1)).values()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    pairs = JudgedPairs(torch.arange(9), order, torch.zeros(9), torch.ones(9).double())
    sign = 2.0 * torch.eye(9).double() - 1
    expected = -F.logsigmoid(sign * (10.0 * queries @ documents[order].T - 10.0)).sum() / 9
    found = sigmoid_loss(queries, documents, pairs, 10.0, -10.0, target=target, direction=direction)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_soft_is_binary_cross_entropy_with_soft_labels_by_row_weight(pattern: str) -> None:
    queries, documents, pairs = vars(random_batch(7, 5, pattern, seed=2)).values()
    labels, row_weight = soft_labels(pairs, 7, 5)
    logits = 6.0 * queries @ documents.T - 2.0
    rows = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(1)
    found = sigmoid_loss(
        queries, documents, pairs, 6.0, -2.0, target="soft", direction="query_to_document"
    )
    torch.testing.assert_close(found, rows @ row_weight / row_weight.sum())


@each_target
def test_the_bias_has_a_gradient(target: Target) -> None:
    queries, documents, pairs = vars(random_batch(5, 4, seed=5)).values()

    def of_bias(bias: Tensor) -> Tensor:
        return sigmoid_loss(queries, documents, pairs, 5.0, bias, target=target)

    torch.autograd.gradcheck(of_bias, torch.tensor(-1.5).double().requires_grad_())


@each_target
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_perfect_fit_costs_next_to_nothing(target: Target, dtype: torch.dtype) -> None:
    signs = 2 * torch.eye(4, dtype=dtype) - 1
    pairs = JudgedPairs(torch.arange(4), torch.arange(4), torch.zeros(4), torch.ones(4))
    found = sigmoid_loss(signs, torch.eye(4, dtype=dtype), pairs, 60.0, 0.0, target=target)
    assert float(found) == pytest.approx(4 * torch.exp(torch.tensor(-60.0)).item(), rel=1e-5)


def test_unknown_names_are_refused() -> None:
    queries, documents, pairs = vars(random_batch(4, 3)).values()
    for name in ("target", "direction", "reduction"):
        wrong: dict[str, Any] = {name: "pairs"}
        with pytest.raises(ValueError, match=f"expected the {name}"):
            sigmoid_loss(queries, documents, pairs, 1.0, 0.0, **wrong)
