"""What every judged loss owes: gradients, precision, extremes, and no matter of order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from judged_batches import (
    LOSSES,
    PATTERNS,
    SHAPES,
    Batch,
    assert_same,
    random_batch,
    value_and_gradients,
)
from rankfield.losses import JudgedPairs
from rankfield.losses.lambda_loss import LambdaScheme
from rankfield.losses.softplus import softplus

LAMBDAS = get_args(LambdaScheme)
LISTWISE = ("listnet", *LAMBDAS)
GRADED = ("margin_mse", *LAMBDAS)
"""Those that know scores beyond their order."""

each_loss = pytest.mark.parametrize("name", LOSSES)


@each_loss
@pytest.mark.parametrize("pattern", PATTERNS)
def test_equals_plain_loops_in_value_and_gradient(name: str, pattern: str) -> None:
    loss, loops = LOSSES[name]
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed)
        assert_same(value_and_gradients(loss, batch), value_and_gradients(loops, batch))


@each_loss
@pytest.mark.parametrize("pattern", ["random", "full row", "all"])
def test_gradients_by_gradcheck(name: str, pattern: str) -> None:
    batch = random_batch(3, 4, pattern, seed=3)
    leaves = [batch.queries, batch.documents, batch.pairs.weights, torch.tensor(3.0).double()]

    def of_leaves(queries: Tensor, documents: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
        return LOSSES[name][0](queries, documents, replace(batch.pairs, weights=weights), scale)

    torch.autograd.gradcheck(of_leaves, [x.requires_grad_() for x in leaves])


@each_loss
def test_error_in_float32_is_no_worse_than_that_of_the_loops(name: str) -> None:
    loss, loops = LOSSES[name]
    errors = torch.zeros(2, 5, dtype=torch.float64)
    sizes = torch.zeros(5, dtype=torch.float64)
    for seed in range(6):
        # Rounded first, so that all three see the same inputs.
        single = random_batch(7, 5, PATTERNS[seed % 3], seed=seed).to(torch.float32)
        exact = value_and_gradients(loss, single.to(torch.float64), 100.0)
        sizes += torch.stack([x.norm() for x in exact])
        for i, form in enumerate((loss, loops)):
            found = value_and_gradients(form, single, 100.0)
            assert found[0].dtype == torch.float32
            errors[i] += torch.stack([(a - b).norm() for a, b in zip(found, exact, strict=True)])
    ours, naive = errors
    # The value to the last bits; gradients as far as a rounded logit, eps · 100 off, can know them.
    tiny = torch.finfo(torch.float32).eps * torch.tensor([1.0, 100, 100, 100, 100]) * (1 + sizes)
    assert (ours <= 2 * naive + tiny).all(), (ours, naive, sizes)


@each_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    batch = random_batch(11, 13, seed=4, width=16).to(dtype)
    single = replace(batch, pairs=batch.to(torch.float32).pairs)
    found = value_and_gradients(LOSSES[name][0], single, 100.0)
    exact = value_and_gradients(LOSSES[name][0], batch.to(torch.float64), 100.0)
    assert found[0].dtype == torch.float32
    assert_same(found[:1], exact[:1], 1e-5)
    for a, b in zip(found[1:], exact[1:], strict=True):
        assert a.isfinite().all()
        assert (a - b).norm() <= torch.finfo(dtype).eps * b.norm() + 1e-5

    def autocast(*inputs: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return LOSSES[name][0](*inputs)

    assert_same(value_and_gradients(autocast, single, 100.0), found, 0.0)


@each_loss
@pytest.mark.parametrize("scale", [100.0, 1000.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_cosines_of_one_and_minus_one_stay_finite(name: str, scale: float, pattern: str) -> None:
    loss, loops = LOSSES[name]
    batch = random_batch(5, 6, pattern, seed=5)
    signs = [x[:, :1].sign() * torch.tensor([[1.0, 0.0]]) for x in (batch.queries, batch.documents)]
    extreme = Batch(signs[0].double(), signs[1].double(), batch.pairs)
    exact = value_and_gradients(loops, extreme, scale)
    assert_same(value_and_gradients(loss, extreme, scale), exact)
    single = value_and_gradients(loss, extreme.to(torch.float32), scale)
    # A gradient by the embeddings is of the size of the scale, and known as far as the logits are.
    rounding = torch.finfo(torch.float32).eps * scale
    assert_same(single[:1], exact[:1], 1e-5)
    assert_same([x / scale for x in single], [x / scale for x in exact], rounding)


@pytest.mark.parametrize("name", [x for x in LOSSES if x not in GRADED])
def test_weights_of_zero_alone_give_zero_and_no_gradient(name: str) -> None:
    batch = random_batch(5, 4, seed=6).to(torch.float32)
    zero = replace(batch, pairs=replace(batch.pairs, weights=torch.zeros(len(batch.pairs))))
    value, queries, documents, weights, scale = value_and_gradients(LOSSES[name][0], zero, 100.0)
    assert value == 0
    assert not any(x.any() for x in (queries, documents, scale))
    assert weights.isfinite().all()


def shuffled(batch: Batch, seed: int) -> Batch:
    """The same batch with queries, documents and pairs in another order."""
    g = torch.Generator().manual_seed(seed)
    pairs = batch.pairs
    rows, columns, order = (
        torch.randperm(len(x), generator=g) for x in (batch.queries, batch.documents, pairs)
    )
    moved = JudgedPairs(
        rows.argsort()[pairs.queries],
        columns.argsort()[pairs.documents],
        pairs.scores,
        pairs.weights,
    )
    return Batch(
        batch.queries[rows],
        batch.documents[columns],
        JudgedPairs(*(x[order] for x in vars(moved).values())),
    )


@settings(max_examples=100, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    pattern=st.sampled_from(PATTERNS),
    name=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 10**6),
    factor=st.floats(1e-3, 1e3),
)
def test_invariances(
    shape: tuple[int, int], pattern: str, name: str, seed: int, factor: float
) -> None:
    loss = LOSSES[name][0]
    batch = random_batch(*shape, pattern, seed=seed)
    value = loss(batch.queries, batch.documents, batch.pairs, 10.0)
    assert float(value) >= -1e-12

    def same(other: Batch) -> None:
        found = loss(other.queries, other.documents, other.pairs, 10.0)
        torch.testing.assert_close(found, value, rtol=1e-9, atol=1e-11)

    same(shuffled(batch, seed))
    same(replace(batch, pairs=replace(batch.pairs, weights=factor * batch.pairs.weights)))
    rising = torch.exp2(batch.pairs.scores.double() - 7.0) + batch.pairs.scores
    if name not in GRADED:
        same(replace(batch, pairs=replace(batch.pairs, scores=rising)))


@each_loss
def test_an_unjudged_document_pushes_or_takes_no_part(name: str) -> None:
    loss = LOSSES[name][0]
    batch = random_batch(4, 6, "full row", seed=8)
    before = loss(batch.queries, batch.documents, batch.pairs, 5.0)
    after = loss(batch.queries, batch.documents[:-1], batch.pairs, 5.0)
    if name in LISTWISE or name.endswith("document_to_query"):
        torch.testing.assert_close(after, before)
    elif name == "margin_mse":  # it is to be no nearer and no further than the other unjudged
        assert abs(after - before) > 1e-3
    else:
        assert after < before - 1e-6


@pytest.mark.parametrize("name", [x for x in LOSSES if "ranked" in x])
def test_ties_do_not_compete(name: str) -> None:
    batch = random_batch(6, 7, "tied", seed=4)
    ranked, mask = (
        value_and_gradients(LOSSES[x][0], batch) for x in (name, name.replace("ranked", "mask"))
    )
    assert_same(ranked, mask, 1e-12)


@each_loss
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    loss = LOSSES[name][0]
    queries, documents, pairs = vars(random_batch(4, 3, "all")).values()
    for bad in [(queries[0], documents), (queries, documents[:, :1]), (queries[:, :1], documents)]:
        with pytest.raises(ValueError, match="expected m × D and n × D"):
            loss(*bad, pairs, 1.0)
    with pytest.raises(ValueError, match="query index"):
        loss(queries[:-1], documents, pairs, 1.0)
    with pytest.raises(ValueError, match="document index"):
        loss(queries, documents[:-1], pairs, 1.0)


def test_softplus_is_exact_where_torch_switches() -> None:
    x = torch.linspace(-50, 50, 1001, dtype=torch.float64)
    torch.testing.assert_close(softplus(x), torch.logaddexp(x, 0 * x), rtol=1e-15, atol=1e-15)
