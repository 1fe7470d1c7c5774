"""The contrastive losses in tiles: as defined, in little memory; test_numerics.py has the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from judged_batches import PATTERNS, Batch, assert_same, random_batch, value_and_gradients
from rankfield.losses import (
    ContrastiveLoss,
    JudgedContrastiveLoss,
    JudgedPairs,
    SigmoidLoss,
    contrastive_loss,
    judged_contrastive_loss,
    sigmoid_loss,
    tiled_contrastive_loss,
    tiled_judged_contrastive_loss,
    tiled_sigmoid_loss,
)
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.large_batches import pays
from rankfield.losses.reduction import Direction, Reduction
from rankfield.losses.tile_softmax import SoftmaxTile

TARGETS: list[Target] = ["pair", "mask", "soft", "ranked"]
DIRECTIONS: list[Direction] = ["query_to_document", "document_to_query", "both"]
MIB = 2**20

each_target = pytest.mark.parametrize("target", TARGETS)
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def one_pair_a_row(batch: Batch, loss: Callable[..., Tensor], **keywords: Any) -> Any:
    """Return a loss of N pairs, of the batch's pairs, as a function of the batch."""

    def of_batch(q: Tensor, d: Tensor, pairs: JudgedPairs, scale: Tensor | float) -> Tensor:
        return loss(q[pairs.queries], d[pairs.documents], pairs.weights, scale, **keywords)

    return of_batch


@each_target
@each_direction
@pytest.mark.parametrize("scale", [5.0, 100.0, 1000.0])
def test_equals_the_definition(target: Target, direction: Direction, scale: float) -> None:
    """At these scales the tiles' exponents need no shift, one for a tile, one for each row."""
    common: dict[str, Any] = {"target": target, "direction": direction, "reduction": "sum"}
    shapes = zip([(1, 1), (1, 6), (5, 1), (6, 4), (5, 7)], PATTERNS, strict=True)
    for seed, (shape, pattern) in enumerate(shapes):
        batch = random_batch(*shape, pattern, seed=seed)
        expected = value_and_gradients(partial(judged_contrastive_loss, **common), batch, scale)
        for side, kept in ((1, 0.0), (3, 100 / MIB), (None, 1.0)):
            tiled = partial(tiled_judged_contrastive_loss, **common, side=side, memory_mib=kept)
            found = value_and_gradients(tiled, batch, scale)
            assert_same(found, expected, 1e-9)


BATCHES = st.builds(
    lambda m, n, pattern, seed: random_batch(m, n, pattern, seed=seed),
    m=st.integers(1, 12),
    n=st.integers(1, 12),
    pattern=st.sampled_from(PATTERNS),
    seed=st.integers(0, 10**6),
)
KEYWORDS = st.fixed_dictionaries(
    {
        "target": st.sampled_from(TARGETS),
        "direction": st.sampled_from(DIRECTIONS),
        "margin": st.sampled_from([0.0, 0.3]),
    }
).filter(lambda words: not words["margin"] or words["target"] in ("mask", "ranked"))
TILES = st.fixed_dictionaries({"side": st.integers(1, 13), "memory_mib": st.floats(0, 1200 / MIB)})


@settings(max_examples=60, deadline=None)
@given(batch=BATCHES, keywords=KEYWORDS, tiles=TILES, scale=st.floats(0.1, 500.0))
def test_equals_the_definition_whatever_the_tiles(
    batch: Batch, keywords: dict[str, Any], tiles: dict[str, Any], scale: float
) -> None:
    expected = value_and_gradients(partial(judged_contrastive_loss, **keywords), batch, scale)
    tiled = partial(tiled_judged_contrastive_loss, **keywords, **tiles)
    assert_same(value_and_gradients(tiled, batch, scale), expected, 1e-8)


@settings(max_examples=60, deadline=None)
@given(batch=BATCHES, keywords=KEYWORDS, tiles=TILES, scale=st.floats(0.1, 100.0))
def test_of_the_sigmoid_too(
    batch: Batch, keywords: dict[str, Any], tiles: dict[str, Any], scale: float
) -> None:
    keywords = {key: keywords[key] for key in ("target", "direction")}
    bias = torch.tensor(-2.0).double()
    expected, found = (
        value_and_gradients(partial(loss, logit_bias=bias, **keywords), batch, scale)
        for loss in (sigmoid_loss, partial(tiled_sigmoid_loss, **tiles))
    )
    assert_same(found, expected, 1e-8)


@each_target
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_bias_of_the_sigmoid_has_its_gradient(target: Target, reduction: Reduction) -> None:
    batch = random_batch(7, 5, seed=6)
    found = []
    for loss in (sigmoid_loss, partial(tiled_sigmoid_loss, side=3)):
        bias = torch.tensor(-2.0).double().requires_grad_()
        value = loss(
            batch.queries,
            batch.documents,
            batch.pairs,
            9.0,
            bias,
            target=target,
            reduction=reduction,
        )
        found.append([value.detach(), *torch.autograd.grad(value.sum(), bias)])
    assert_same(found[0], found[1])


@each_direction
@pytest.mark.parametrize("reduction", ["mean", "batchmean", "none"])
def test_of_rows_equals_the_contrastive_loss(direction: Direction, reduction: str) -> None:
    batch = random_batch(5, 7, seed=3)
    common: dict[str, Any] = {"direction": direction, "reduction": reduction}
    found, expected = (
        value_and_gradients(
            lambda *inputs, f=form: one_pair_a_row(batch, f, **common)(*inputs).sum(), batch
        )
        for form in (partial(tiled_contrastive_loss, side=4), contrastive_loss)
    )
    assert_same(found, expected)


@each_target
def test_error_in_float32_is_no_worse_than_that_of_the_definition(target: Target) -> None:
    tiled = partial(tiled_judged_contrastive_loss, target=target, side=24)
    errors, sizes = torch.zeros(2, 5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for seed, scale in itertools.product(range(4), (14.0, 100.0)):
        batch = random_batch(70, 50, seed=seed, width=24).to(torch.float32)
        some = torch.arange(len(batch.pairs)) % 9 == 0
        pairs = JudgedPairs(*(x[some] for x in vars(batch.pairs).values()))
        batch = replace(batch, pairs=pairs)
        exact = value_and_gradients(
            partial(judged_contrastive_loss, target=target), batch.to(torch.float64), scale
        )
        sizes += torch.stack([x.norm() for x in exact])
        for i, loss in enumerate((tiled, partial(judged_contrastive_loss, target=target))):
            found = value_and_gradients(loss, batch, scale)
            errors[i] += torch.stack([(a - b).norm() for a, b in zip(found, exact, strict=True)])
    rounding = torch.finfo(torch.float32).eps * sizes
    assert (errors[0] <= 1.5 * errors[1] + rounding).all(), (errors, sizes)


@pytest.mark.parametrize(
    ("logits", "bounded", "shift"),
    [
        ([[1.0, -2.0], [3.0, 0.5]], True, 0.0),
        ([[90.0, 70.0], [80.0, 75.0]], False, 45.0),  # a judged pair counts as 0 here
        ([[90.0, -70.0], [80.0, 75.0]], False, None),
    ],
)
def test_exponents_are_shifted_so_that_none_underflows(
    logits: list[list[float]], bounded: bool, shift: float | None
) -> None:
    tile, before = torch.tensor(logits), torch.tensor(logits)
    places = torch.tensor([1]), torch.tensor([1])
    assert SoftmaxTile().take(tile, places, bounded) == shift
    expected = before if shift is None else torch.exp(before - shift)
    expected[1, 1] = NO_LOGIT if shift is None else 0.0
    torch.testing.assert_close(tile, expected)


@each_direction
def test_rows_and_columns_far_below_the_others_count(direction: Direction) -> None:
    """One shift for all would underflow in float32."""
    logits = 3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()
    logits[2] -= 150.0
    logits[:, 4] -= 150.0
    queries, documents = torch.eye(6).double(), logits.T.contiguous()
    own = torch.arange(6)
    pairs = JudgedPairs(own, own, torch.ones(6), torch.ones(6).double())
    loss = partial(tiled_judged_contrastive_loss, target="mask", direction=direction, side=4)
    batch = Batch(queries, documents, pairs)
    exact = value_and_gradients(
        partial(judged_contrastive_loss, target="mask", direction=direction), batch, 1.0
    )
    single = value_and_gradients(loss, batch.to(torch.float32), 1.0)
    assert_same(single[:3], exact[:3], 2e-4)
    assert float(single[1][2].abs().max()) > 0.01


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else (found,):
            if isinstance(one, Tensor):
                self.numel = max(self.numel, one.numel())
        return found


@contextmanager
def saved_sizes() -> Iterator[list[Tensor]]:
    """Collect what autograd saves, each tensor once."""
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved.setdefault(tensor.data_ptr(), tensor)
        return tensor

    found: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found
    found += saved.values()


def leaves_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    scale = torch.tensor(20.0).to(batch.queries).requires_grad_()
    return batch.queries.requires_grad_(), batch.documents.requires_grad_(), scale


def sparse_batch(m: int, n: int) -> Batch:
    """A batch in which each query judges three documents, and the first a third of all."""
    g = torch.Generator().manual_seed(0)
    batch = random_batch(m, n, "single", width=4)
    queries = torch.cat([torch.arange(m).repeat(3), torch.zeros(n // 3, dtype=torch.int64)])
    documents = torch.cat([torch.randint(n, (3 * m,), generator=g), torch.arange(n // 3)])
    places = torch.unique(queries * n + documents)
    scores = torch.randint(9, (len(places),), generator=g)
    weights = torch.rand(len(places), generator=g, dtype=torch.float64)
    return replace(batch, pairs=JudgedPairs(places // n, places % n, scores.double(), weights))


@each_target
@each_direction
@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_memory_is_that_of_embeddings_and_pairs(
    form: str, target: Target, direction: Direction
) -> None:
    forms: dict[str, Callable[..., Tensor]] = {
        "softmax": tiled_judged_contrastive_loss,
        "sigmoid": partial(tiled_sigmoid_loss, logit_bias=-3.0),
    }
    batch = sparse_batch(240, 200)
    queries, documents, scale = leaves_of(batch)
    mode = Largest()  # type: ignore[no-untyped-call]
    with mode, saved_sizes() as saved:
        value = forms[form](
            queries,
            documents,
            batch.pairs,
            scale,
            target=target,
            direction=direction,
            side=64 if target == "pair" else 16,
            memory_mib=0.0,
        )
        value.backward()  # type: ignore[no-untyped-call]
    linear = (240 + 200) * 5 + len(batch.pairs) * (5 if target == "pair" else 1)
    assert mode.numel <= 4 * linear
    assert sum(x.numel() for x in saved) <= 16 * linear
    assert 4 * linear < 240 * 200


def test_the_definition_is_larger_than_what_that_test_allows() -> None:
    batch = sparse_batch(240, 200)
    queries, documents, scale = leaves_of(batch)
    mode = Largest()  # type: ignore[no-untyped-call]
    with mode, saved_sizes() as saved:
        judged_contrastive_loss(queries, documents, batch.pairs, scale)
    assert mode.numel >= 240 * 200
    assert sum(x.numel() for x in saved) > 3 * 240 * 200


def test_the_budget_is_what_is_kept_and_changes_no_bit() -> None:
    batch = random_batch(30, 20, seed=2, width=4)
    found = []
    for kept in range(7):  # 3 × 2 tiles of 100 logits, in float64
        queries, documents, scale = leaves_of(batch)
        with saved_sizes() as saved:
            loss = tiled_judged_contrastive_loss(
                queries, documents, batch.pairs, scale, side=10, memory_mib=800 * kept / MIB
            )
        gradients = torch.autograd.grad(loss, [queries, documents, scale])
        found.append((sum(x.numel() for x in saved), [loss.detach(), *gradients]))
    for kept, (numbers, values) in enumerate(found):
        assert numbers == found[0][0] + 100 * kept
        assert all(torch.equal(a, b) for a, b in zip(values, found[0][1], strict=True))


def test_backward_can_be_repeated_and_nothing_is_kept_without_gradients() -> None:
    batch = random_batch(30, 20, seed=2, width=4)
    queries, documents, scale = leaves_of(batch)
    loss = tiled_judged_contrastive_loss(queries, documents, batch.pairs, scale, side=10)
    one, two = (torch.autograd.grad(loss, queries, retain_graph=True) for _ in range(2))
    assert torch.equal(one[0], two[0])
    with saved_sizes() as saved, torch.no_grad():
        without = tiled_judged_contrastive_loss(queries, documents, batch.pairs, scale, side=10)
    assert torch.equal(without, loss)
    assert saved == []


def test_a_frozen_side_has_no_gradient_and_the_others_keep_theirs() -> None:
    batch = random_batch(9, 8, seed=4, width=4)
    leaves = leaves_of(batch)

    def loss(queries: Tensor, documents: Tensor, scale: Tensor) -> Tensor:
        return tiled_judged_contrastive_loss(queries, documents, batch.pairs, scale, side=3)

    full = torch.autograd.grad(loss(*leaves), leaves)
    for trained in range(3):
        queries, documents, scale = (
            x if i == trained else x.detach() for i, x in enumerate(leaves)
        )
        (alone,) = torch.autograd.grad(loss(queries, documents, scale), leaves[trained])
        assert torch.equal(alone, full[trained])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_finite_loss(bad: float) -> None:
    batch = random_batch(7, 6, seed=4, width=4)
    batch.queries[3, 1] = bad
    for loss in (
        tiled_judged_contrastive_loss,
        partial(tiled_sigmoid_loss, logit_bias=-3.0),
    ):
        value = loss(batch.queries, batch.documents, batch.pairs, 9.0, side=3)
        assert not value.isfinite()


def test_a_second_derivative_is_refused() -> None:
    batch = random_batch(4, 3, seed=4)
    queries, documents, scale = leaves_of(batch)
    loss = tiled_judged_contrastive_loss(queries, documents, batch.pairs, scale)
    (gradient,) = torch.autograd.grad(loss, queries, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("target", ["pair", "ranked"])
def test_modules_take_tiles_from_the_batch_on_for_which_they_pay(target: Target) -> None:
    side = next(n for n in itertools.count(1) if pays(n, n))
    assert not pays(side - 1, side - 1)
    weights = torch.linspace(0.5, 1.0, side)
    for size, tiled in ((side - 1, False), (side, True)):
        own = torch.arange(size)
        pairs = JudgedPairs(own, own, weights[:size], weights[:size])
        embeddings = torch.nn.functional.normalize(torch.randn(2, size, 3), dim=-1)
        queries, documents = (x.clone().requires_grad_() for x in embeddings)
        modules = [JudgedContrastiveLoss(target=target, memory_mib=0.0)]
        if target == "pair":
            modules.append(ContrastiveLoss(memory_mib=0.0))  # type: ignore[arg-type]
        expected = judged_contrastive_loss(queries, documents, pairs, 9.0, target=target)
        for module in modules:
            with saved_sizes() as saved:
                found = module(queries, documents, pairs, 9.0)
            assert (max(x.numel() for x in saved) < size * size) is tiled
            torch.testing.assert_close(found, expected)
        with saved_sizes() as saved:
            found = SigmoidLoss(target=target, memory_mib=0.0)(queries, documents, pairs, 9.0, -3.0)
        assert (max(x.numel() for x in saved) < size * size) is tiled
        expected = sigmoid_loss(queries, documents, pairs, 9.0, -3.0, target=target)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("memory", [-1.0, float("nan"), float("inf")])
def test_budgets_that_are_none_are_refused(memory: float) -> None:
    batch = random_batch(4, 3)
    rows = batch.queries, batch.queries, torch.ones(4)
    refused: list[Callable[[], Any]] = [
        lambda: tiled_contrastive_loss(*rows, 1.0, memory_mib=memory),
        lambda: tiled_judged_contrastive_loss(
            batch.queries, batch.documents, batch.pairs, 1.0, memory_mib=memory
        ),
        lambda: ContrastiveLoss(memory_mib=memory),
        lambda: tiled_sigmoid_loss(
            batch.queries, batch.documents, batch.pairs, 1.0, 0.0, memory_mib=memory
        ),
        lambda: JudgedContrastiveLoss(memory_mib=memory),
        lambda: SigmoidLoss(memory_mib=memory),
    ]
    for call in refused:
        with pytest.raises(ValueError, match="expected a memory_mib of 0 or more MiB, found"):
            call()
