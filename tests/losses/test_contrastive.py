from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import contrastive_loss
from rankfield.losses.reduction import Direction, Reduction
from reference import contrastive_loss_loops


def unit_pairs(n: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, documents = (torch.randn(n, width, generator=generator, dtype=dtype) for _ in range(2))
    weights = torch.rand(n, generator=generator, dtype=dtype) + 0.01
    return [F.normalize(queries, dim=-1), F.normalize(documents, dim=-1), weights]


def clip_loss(
    queries: Tensor, documents: Tensor, scale: float, direction: Direction = "both"
) -> Tensor:
    """The formula of open_clip's ClipLoss: two logit products, two cross-entropies, halved."""
    labels = torch.arange(len(queries))
    by_query = F.cross_entropy(scale * queries @ documents.T, labels)
    by_document = F.cross_entropy(scale * documents @ queries.T, labels)
    return {
        "query_to_document": by_query,
        "document_to_query": by_document,
        "both": (by_query + by_document) / 2,
    }[direction]


@pytest.mark.parametrize("n", [1, 2, 7, 33])
@pytest.mark.parametrize("width", [1, 5, 16])
@pytest.mark.parametrize("reduction", ["mean", "batchmean", "sum"])
@pytest.mark.parametrize("direction", ["query_to_document", "document_to_query", "both"])
def test_equals_plain_loops(n: int, width: int, reduction: Reduction, direction: Direction) -> None:
    queries, documents, weights = unit_pairs(n, width, seed=n * 100 + width)
    found, expected = (
        loss(queries, documents, weights, 7.3, direction=direction, reduction=reduction)
        for loss in (contrastive_loss, contrastive_loss_loops)
    )
    assert float(found) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("reduction", ["mean", "batchmean"])
@pytest.mark.parametrize("direction", ["query_to_document", "document_to_query", "both"])
def test_with_equal_weights_it_is_the_loss_of_clip(
    scale: float, reduction: Reduction, direction: Direction
) -> None:
    queries, documents, _ = unit_pairs(24, 8, seed=1)
    gradients = []
    for loss in ("ours", "clip"):
        a, b = queries.clone().requires_grad_(), documents.clone().requires_grad_()
        value = (
            contrastive_loss(
                a, b, torch.ones(24).double(), scale, direction=direction, reduction=reduction
            )
            if loss == "ours"
            else clip_loss(a, b, scale, direction)
        )
        value.backward()  # type: ignore[no-untyped-call]
        assert a.grad is not None
        assert b.grad is not None
        gradients.append((value.detach(), a.grad, b.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_gradients_by_gradcheck() -> None:
    queries, documents, weights = unit_pairs(6, 4, seed=2)
    scale = torch.tensor(5.0, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (queries, documents, weights, scale)]
    for reduction in ("mean", "batchmean", "sum", "none"):
        torch.autograd.gradcheck(
            lambda a, b, w, s, r=reduction: contrastive_loss(a, b, w, s, reduction=r),
            inputs,
        )


def test_error_in_float32_is_no_worse_than_the_naive_form() -> None:
    queries, documents, _ = unit_pairs(256, 64, seed=3)
    exact = clip_loss(queries, documents, 100.0)
    single = clip_loss(queries.float(), documents.float(), 100.0)
    ours = contrastive_loss(queries.float(), documents.float(), torch.ones(256), 100.0)
    assert abs(float(ours) - float(exact)) <= 2 * abs(float(single) - float(exact)) + 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_computed_in_float32(dtype: torch.dtype) -> None:
    queries, documents, weights = unit_pairs(32, 16, seed=4)
    halves = queries.to(dtype), documents.to(dtype)
    found = contrastive_loss(*halves, weights.float(), 100.0)
    expected = contrastive_loss(halves[0].double(), halves[1].double(), weights, 100.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_invariances(n: int, seed: int, factor: float) -> None:
    queries, documents, weights = unit_pairs(n, 5, seed)
    value = float(contrastive_loss(queries, documents, weights, 10.0))
    assert value >= -1e-12
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    permuted = contrastive_loss(queries[order], documents[order], weights[order], 10.0)
    assert float(permuted) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert float(contrastive_loss(documents, queries, weights, 10.0)) == pytest.approx(
        value, abs=1e-9
    )
    scaled = contrastive_loss(queries, documents, factor * weights, 10.0)
    assert float(scaled) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_pair_of_weight_zero_is_still_a_negative() -> None:
    queries, documents, _ = unit_pairs(3, 4, seed=5)
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    alone = contrastive_loss(queries[:2], documents[:2], weights[:2], 10.0)
    assert float(contrastive_loss(queries, documents, weights, 10.0)) > float(alone)


def test_shapes_that_do_not_fit_are_refused() -> None:
    queries, documents, weights = unit_pairs(4, 3, seed=6)
    with pytest.raises(ValueError, match="expected N × D"):
        contrastive_loss(queries, documents[:3], weights, 1.0)
    with pytest.raises(ValueError, match="expected N × D"):
        contrastive_loss(queries, documents, weights[:3], 1.0)
    with pytest.raises(ValueError, match="reduction"):
        contrastive_loss(queries, documents, weights, 1.0, reduction="count")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="direction"):
        contrastive_loss(queries, documents, weights, 1.0, direction="up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one pair"):
        contrastive_loss(queries[:0], documents[:0], weights[:0], 1.0)


def test_weights_of_zero_alone_give_zero_and_no_gradient() -> None:
    queries, documents, weights = (x.float().requires_grad_() for x in unit_pairs(4, 3, seed=7))
    loss = contrastive_loss(queries, documents, 0 * weights, 100.0)
    assert loss == 0
    assert not any(x.any() for x in torch.autograd.grad(loss, [queries, documents, weights]))


@pytest.mark.parametrize("direction", ["query_to_document", "document_to_query"])
def test_both_is_half_of_each_direction_and_they_swap_with_the_sides(direction: Direction) -> None:
    queries, documents, weights = unit_pairs(7, 4, seed=8)
    other: Direction = (
        "query_to_document" if direction == "document_to_query" else "document_to_query"
    )
    one = contrastive_loss(queries, documents, weights, 9.0, direction=direction)
    two = contrastive_loss(queries, documents, weights, 9.0, direction=other)
    flipped = contrastive_loss(documents, queries, weights, 9.0, direction=other)
    torch.testing.assert_close(flipped, one, rtol=1e-12, atol=1e-12)
    both = contrastive_loss(queries, documents, weights, 9.0)
    torch.testing.assert_close(both, (one + two) / 2, rtol=1e-12, atol=1e-12)
