from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import contrastive_loss
from rankfield.losses.contrastive import Normaliser
from reference import contrastive_loss_loops


def unit_pairs(n: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(n, width, generator=generator, dtype=dtype) for _ in range(2))
    weights = torch.rand(n, generator=generator, dtype=dtype) + 0.01
    return [F.normalize(left, dim=-1), F.normalize(right, dim=-1), weights]


def clip_loss(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """The formula of open_clip's ClipLoss: two logit products, two cross-entropies, halved."""
    logits_left, logits_right = scale * left @ right.T, scale * right @ left.T
    labels = torch.arange(len(left))
    return (F.cross_entropy(logits_left, labels) + F.cross_entropy(logits_right, labels)) / 2


@pytest.mark.parametrize("n", [1, 2, 7, 33])
@pytest.mark.parametrize("width", [1, 5, 16])
@pytest.mark.parametrize("normaliser", ["weights", "count"])
def test_equals_plain_loops(n: int, width: int, normaliser: Normaliser) -> None:
    left, right, weights = unit_pairs(n, width, seed=n * 100 + width)
    found = contrastive_loss(left, right, weights, 7.3, normaliser=normaliser)
    expected = contrastive_loss_loops(left, right, weights, 7.3, normaliser=normaliser)
    assert float(found) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("normaliser", ["weights", "count"])
def test_with_equal_weights_it_is_the_loss_of_clip(scale: float, normaliser: Normaliser) -> None:
    left, right, _ = unit_pairs(24, 8, seed=1)
    gradients = []
    for loss in ("ours", "clip"):
        a, b = left.clone().requires_grad_(), right.clone().requires_grad_()
        value = (
            contrastive_loss(a, b, torch.ones(24).double(), scale, normaliser=normaliser)
            if loss == "ours"
            else clip_loss(a, b, scale)
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
