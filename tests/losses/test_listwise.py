"""ListNet and LambdaLoss against what others define; test_numerics.py holds the plain loops."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from judged_batches import from_logits, gains, random_batch, soft_labels, value_and_gradients
from rankfield.losses import JudgedPairs, lambda_loss, listnet_loss
from rankfield.losses.lambda_loss import LambdaScheme

each_scheme = pytest.mark.parametrize("scheme", get_args(LambdaScheme))


def one_query(grades: Tensor) -> JudgedPairs:
    """The judgments of one query with K documents, in their order."""
    k = len(grades)
    return JudgedPairs(torch.zeros(k).long(), torch.arange(k), grades, torch.ones(k).double())


def lambda_of(logits: Tensor, grades: Tensor, scheme: LambdaScheme) -> Tensor:
    """LambdaLoss of one query's K logits with the grades as gains."""
    queries, documents = from_logits(logits[None])
    return lambda_loss(queries, documents, one_query(grades), grades, 1.0, scheme=scheme)


def test_listnet_is_the_divergence_of_softmax_from_the_weights_over_the_judged() -> None:
    queries, documents, pairs = vars(random_batch(6, 7, "full row", seed=1)).values()
    labels, row_weight = soft_labels(pairs, 6, 7)
    logits = (5.0 * queries @ documents.T).where(labels > 0, -torch.inf)
    judged = row_weight > 0
    assert 0 < int(judged.sum()) < 6
    expected = [
        F.kl_div(x[p > 0].log_softmax(0), p[p > 0], reduction="sum")
        for x, p in zip(logits[judged], labels[judged], strict=True)
    ]
    found = listnet_loss(queries, documents, pairs, 5.0)
    torch.testing.assert_close(found, torch.stack(expected).mean(), rtol=1e-12, atol=1e-12)


def test_listnet_with_exponential_weights_compares_two_softmaxes() -> None:
    scores, logits = torch.randn(2, 1, 6, dtype=torch.float64)
    pairs = replace(one_query(scores[0]), weights=scores[0].exp())
    found = listnet_loss(*from_logits(logits), pairs, 1.0)
    expected = F.cross_entropy(logits, scores.softmax(1)) - F.cross_entropy(
        scores, scores.softmax(1)
    )
    torch.testing.assert_close(found, expected)


def test_listnet_is_zero_at_a_perfect_fit_with_no_gradient() -> None:
    batch = random_batch(4, 5, seed=2)
    pairs = batch.pairs
    weights = torch.exp(8.0 * (batch.queries @ batch.documents.T)[pairs.queries, pairs.documents])
    fit = replace(batch, pairs=replace(pairs, weights=weights))
    value, queries, documents, _, scale = value_and_gradients(listnet_loss, fit, 8.0)
    assert abs(float(value)) < 1e-14
    assert all(float(x.abs().max()) < 1e-13 for x in (queries, documents, scale))


@pytest.mark.parametrize("weight", [0.0, 1e-44, 1.0])
def test_listnet_counts_a_query_of_no_weight_as_zero(weight: float) -> None:
    """1e-44 is so small a float32 that it has lost its digits, yet two of them are halves."""
    queries, documents = from_logits(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    pairs = JudgedPairs(
        torch.tensor([0, 0, 1]),
        torch.tensor([0, 1, 1]),
        torch.zeros(3),
        torch.tensor([weight, weight, 1.0]),
    )
    half = torch.tensor([[0.5, 0.5]])
    fit = F.kl_div(torch.tensor([[1.0, 0.0]]).log_softmax(1), half, reduction="sum")
    expected = fit / 2 if weight else torch.tensor(0.0)
    torch.testing.assert_close(listnet_loss(queries, documents, pairs, 1.0), expected)


def test_the_lambdas_are_those_of_sentence_transformers() -> None:
    """Its schemes take gains over maxDCG and discounts, both in the order of the logits."""
    from sentence_transformers.cross_encoder import losses

    schemes = {
        "lambdarank": losses.LambdaRankScheme(),
        "ndcg2": losses.NDCGLoss2Scheme(),
        "ndcg2++": losses.NDCGLoss2PPScheme(),
    }
    g = torch.Generator().manual_seed(3)
    logits = torch.randn(7, generator=g, dtype=torch.float64).sort(descending=True).values
    grades = torch.randint(4, (7,), generator=g).double()
    discounts = torch.log2(torch.arange(7).double() + 2)
    ideal = (grades.sort(descending=True).values / discounts).sum()
    better = grades[:, None] > grades[None, :]
    cost = -F.logsigmoid(logits[:, None] - logits[None, :]) / torch.tensor(2.0).double().log()
    for name in get_args(LambdaScheme):
        weight = schemes[name]((grades / ideal)[None], discounts[None], grades[None])[0]
        expected = (weight * cost)[better].sum()
        torch.testing.assert_close(lambda_of(logits, grades, name), expected, rtol=1e-6, atol=1e-6)


@each_scheme
def test_lambda_of_tied_gains_is_zero_with_no_gradient(scheme: LambdaScheme) -> None:
    batch = random_batch(5, 6, "tied", seed=4)
    for level in (0.0, 2.5):

        def loss(
            a: Tensor, b: Tensor, p: JudgedPairs, s: Tensor | float, g: float = level
        ) -> Tensor:
            return lambda_loss(a, b, p, torch.full((len(p),), g), s, scheme=scheme)

        assert not any(x.any() for x in value_and_gradients(loss, batch, 1000.0))


@each_scheme
@settings(max_examples=30, deadline=None)
@given(k=st.integers(2, 7), seed=st.integers(0, 10**6))
def test_lambda_falls_as_the_best_rises_and_the_worst_sinks(
    scheme: LambdaScheme, k: int, seed: int
) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(k, generator=g, dtype=torch.float64)).requires_grad_()
    grades = torch.randint(3, (k,), generator=g).double()
    grades[0], grades[-1] = 5.0, 0.0
    value = lambda_of(logits, grades, scheme)
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[0] < 0 < gradient[-1]
    assert abs(float(gradient.sum())) < 1e-12
    # A step too short to change a rank: with the ranks the λ stay.
    closest = (logits.detach()[:, None] - logits.detach()).abs().fill_diagonal_(1.0).min()
    step = torch.zeros(k).double()
    step[0] = closest / 2
    assert lambda_of(logits.detach() + step, grades, scheme) < value


@each_scheme
@settings(max_examples=30, deadline=None)
@given(k=st.integers(2, 7), seed=st.integers(0, 10**6), shift=st.floats(-50, 50))
def test_lambda_depends_on_logit_differences_and_gain_ratios(
    scheme: LambdaScheme, k: int, seed: int, shift: float
) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(k, generator=g, dtype=torch.float64)
    grades = torch.randint(3, (k,), generator=g).double()
    value = lambda_of(logits, grades, scheme)
    order = torch.randperm(k, generator=g)
    for other in [
        lambda_of(logits + shift, grades, scheme),
        lambda_of(logits, 3.7 * grades, scheme),
        lambda_of(logits[order], grades[order], scheme),
    ]:
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)
    # Two documents of one gain may swap their logits.
    grades[0] = grades[1] = 1.0
    swapped = logits.clone()
    swapped[:2] = logits[:2].flip(0)
    torch.testing.assert_close(
        lambda_of(swapped, grades, scheme), lambda_of(logits, grades, scheme)
    )


def test_documents_of_equal_logit_are_ranked_from_the_lowest_gain() -> None:
    grades = torch.tensor([2.0, 1.0]).double()
    tied = lambda_of(torch.zeros(2).double(), grades, "lambdarank")
    # λ = (2 − 1) · (1 − 1 / log₂ 3), maxDCG = 2 + 1 / log₂ 3, the cost log₂ 2 = 1.
    inverse = 1 / torch.log2(torch.tensor(3.0).double())
    torch.testing.assert_close(tied, (1 - inverse) / (2 + inverse))
    three = torch.tensor([1.0, 2.0, 0.0]).double()
    logits = torch.tensor([0.0, 0.0, -1e-12]).double()
    worst = lambda_of(logits + torch.tensor([1e-13, 0, 0]).double(), three, "lambdarank")
    torch.testing.assert_close(lambda_of(logits, three, "lambdarank"), worst)


def test_unknown_schemes_and_gains_that_do_not_fit_are_refused() -> None:
    queries, documents, pairs = vars(random_batch(4, 3, "all")).values()
    loss = partial(lambda_loss, queries, documents, pairs)
    with pytest.raises(ValueError, match=r"lambdarank, ndcg2 or ndcg2\+\+"):
        loss(gains(pairs), 1.0, scheme="map")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 12 gains"):
        loss(gains(pairs)[1:], 1.0)
    with pytest.raises(ValueError, match="gains of at least 0"):
        loss(gains(pairs) - 1.0, 1.0)
