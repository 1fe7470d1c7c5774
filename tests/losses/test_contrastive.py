from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import contrastive_loss
from rankfield.losses.judged import Direction, Normaliser
from reference import contrastive_loss_loops


def unit_pairs(n: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(n, width, generator=generator, dtype=dtype) for _ in range(2))
    weights = torch.rand(n, generator=generator, dtype=dtype) + 0.01
    return [F.normalize(left, dim=-1), F.normalize(right, dim=-1), weights]


def clip_loss(left: Tensor, right: Tensor, scale: float, direction: Direction = "both") -> Tensor:
    """The formula of open_clip's ClipLoss: two logit products, two cross-entropies, halved."""
    labels = torch.arange(len(left))
    rows = F.cross_entropy(scale * left @ right.T, labels)
    columns = F.cross_entropy(scale * right @ left.T, labels)
    return {"rows": rows, "columns": columns, "both": (rows + columns) / 2}[direction]


@pytest.mark.parametrize("n", [1, 2, 7, 33])
@pytest.mark.parametrize("width", [1, 5, 16])
@pytest.mark.parametrize("normaliser", ["weights", "count"])
@pytest.mark.parametrize("direction", ["rows", "columns", "both"])
def test_equals_plain_loops(
    n: int, width: int, normaliser: Normaliser, direction: Direction
) -> None:
    left, right, weights = unit_pairs(n, width, seed=n * 100 + width)
    found, expected = (
        loss(left, right, weights, 7.3, direction=direction, normaliser=normaliser)
        for loss in (contrastive_loss, contrastive_loss_loops)
    )
    assert float(found) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("normaliser", ["weights", "count"])
@pytest.mark.parametrize("direction", ["rows", "columns", "both"])
def test_with_equal_weights_it_is_the_loss_of_clip(
    scale: float, normaliser: Normaliser, direction: Direction
) -> None:
    left, right, _ = unit_pairs(24, 8, seed=1)
    gradients = []
    for loss in ("ours", "clip"):
        a, b = left.clone().requires_grad_(), right.clone().requires_grad_()
        value = (
            contrastive_loss(
                a, b, torch.ones(24).double(), scale, direction=direction, normaliser=normaliser
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
    left, right, weights = unit_pairs(6, 4, seed=2)
    scale = torch.tensor(5.0, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (left, right, weights, scale)]
    for normaliser in ("weights", "count"):
        torch.autograd.gradcheck(
            lambda a, b, w, s, n=normaliser: contrastive_loss(a, b, w, s, normaliser=n),
            inputs,
        )


def test_error_in_float32_is_no_worse_than_the_naive_form() -> None:
    left, right, _ = unit_pairs(256, 64, seed=3)
    exact = clip_loss(left, right, 100.0)
    single = clip_loss(left.float(), right.float(), 100.0)
    ours = contrastive_loss(left.float(), right.float(), torch.ones(256), 100.0)
    assert abs(float(ours) - float(exact)) <= 2 * abs(float(single) - float(exact)) + 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_computed_in_float32(dtype: torch.dtype) -> None:
    left, right, weights = unit_pairs(32, 16, seed=4)
    halves = left.to(dtype), right.to(dtype)
    found = contrastive_loss(*halves, weights.float(), 100.0)
    expected = contrastive_loss(halves[0].double(), halves[1].double(), weights, 100.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_invariances(n: int, seed: int, factor: float) -> None:
    left, right, weights = unit_pairs(n, 5, seed)
    value = float(contrastive_loss(left, right, weights, 10.0))
    assert value >= -1e-12
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    permuted = contrastive_loss(left[order], right[order], weights[order], 10.0)
    assert float(permuted) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert float(contrastive_loss(right, left, weights, 10.0)) == pytest.approx(value, abs=1e-9)
    scaled = contrastive_loss(left, right, factor * weights, 10.0)
    assert float(scaled) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_pair_of_weight_zero_is_still_a_negative() -> None:
    left, right, _ = unit_pairs(3, 4, seed=5)
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    alone = contrastive_loss(left[:2], right[:2], weights[:2], 10.0)
    assert float(contrastive_loss(left, right, weights, 10.0)) > float(alone)


def test_shapes_that_do_not_fit_are_refused() -> None:
    left, right, weights = unit_pairs(4, 3, seed=6)
    with pytest.raises(ValueError, match="expected N × D"):
        contrastive_loss(left, right[:3], weights, 1.0)
    with pytest.raises(ValueError, match="expected N × D"):
        contrastive_loss(left, right, weights[:3], 1.0)
    with pytest.raises(ValueError, match="normaliser"):
        contrastive_loss(left, right, weights, 1.0, normaliser="sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="direction"):
        contrastive_loss(left, right, weights, 1.0, direction="up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one pair"):
        contrastive_loss(left[:0], right[:0], weights[:0], 1.0)


def test_weights_of_zero_alone_give_zero_and_no_gradient() -> None:
    left, right, weights = (x.float().requires_grad_() for x in unit_pairs(4, 3, seed=7))
    loss = contrastive_loss(left, right, 0 * weights, 100.0)
    assert loss == 0
    assert not any(x.any() for x in torch.autograd.grad(loss, [left, right, weights]))


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_both_is_half_of_each_direction_and_they_swap_with_the_sides(direction: Direction) -> None:
    left, right, weights = unit_pairs(7, 4, seed=8)
    other: Direction = "rows" if direction == "columns" else "columns"
    one = contrastive_loss(left, right, weights, 9.0, direction=direction)
    two = contrastive_loss(left, right, weights, 9.0, direction=other)
    flipped = contrastive_loss(right, left, weights, 9.0, direction=other)
    torch.testing.assert_close(flipped, one, rtol=1e-12, atol=1e-12)
    both = contrastive_loss(left, right, weights, 9.0)
    torch.testing.assert_close(both, (one + two) / 2, rtol=1e-12, atol=1e-12)
