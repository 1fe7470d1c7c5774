"""Losses on trial: the default at strength 0, and what each adds to it, by plain loops."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import reference
from judged_batches import (
    PATTERNS,
    SHAPES,
    Batch,
    assert_same,
    random_batch,
    value_and_gradients,
)
from rankfield.losses import JudgedContrastiveLoss, JudgedPairs, RankingLoss, make_loss

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from candidates.entmax import entmax, fenchel_young
from candidates.mixup import mixed_pairs, partners, with_mixtures
from candidates.noise import noisy
from candidates.spread import spread

sys.path.pop()

SPREAD, NOISE = "candidates.spread:SpreadOutLoss", "candidates.noise:DocumentNoiseLoss"
MIXUP, UNJUDGED = "candidates.mixup:DocumentMixupLoss", "candidates.unjudged:UnjudgedLoss"
ENTMAX = "candidates.entmax:EntmaxLoss"

OFF: list[tuple[str, dict[str, Any]]] = [
    (SPREAD, {"weight": 0.0}),
    (NOISE, {"p": 0.0}),
    (MIXUP, {"share": 0.0}),
    (UNJUDGED, {"unjudged": 1.0, "prior": 0.0}),
    (ENTMAX, {"alpha": 1.0}),
]
ON: list[tuple[str, dict[str, Any]]] = [
    (SPREAD, {"weight": 0.5, "form": "orthogonal"}),
    (SPREAD, {"weight": 0.5, "form": "uniformity"}),
    (NOISE, {"p": 0.3, "form": "dropout"}),
    (NOISE, {"p": 0.3, "form": "gaussian"}),
    (MIXUP, {"alpha": 0.4, "share": 0.7}),
    (UNJUDGED, {"unjudged": 0.3}),
    (UNJUDGED, {"prior": 0.1}),
    (UNJUDGED, {"unjudged": 0.5, "prior": 0.5}),
    (ENTMAX, {"alpha": 1.5}),
    (ENTMAX, {"alpha": 2.0}),
]
FIXED = [(name, given) for name, given in ON if name not in (NOISE, MIXUP)]
"""Those that draw no random numbers."""

each_direction = pytest.mark.parametrize(
    "direction", ["query_to_document", "document_to_query", "both"]
)


def made(name: str, parameters: dict[str, Any], **common: Any) -> RankingLoss:
    """The loss as training makes it."""
    settings = {"target": "ranked", "direction": "both", "reduction": "mean", "margin": 0.0}
    return make_loss(name, {**settings, "gain": None, **common}, parameters)


@pytest.mark.parametrize(("name", "off"), OFF)
@each_direction
@pytest.mark.parametrize("target", ["ranked", "mask"])
def test_at_strength_0_it_is_the_default_to_the_bit(
    name: str, off: dict[str, Any], direction: str, target: str
) -> None:
    common: dict[str, Any] = {"target": target, "direction": direction, "margin": 0.1}
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, seed=seed).to(torch.float32)
        found = value_and_gradients(made(name, off, **common), batch)
        expected = value_and_gradients(JudgedContrastiveLoss(**common), batch)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("name", "on"), [one for one in ON if one[0] in (NOISE, MIXUP)])
def test_in_evaluation_mode_nothing_is_drawn(name: str, on: dict[str, Any]) -> None:
    batch = random_batch(7, 5)
    found = value_and_gradients(made(name, on).eval(), batch)
    expected = value_and_gradients(JudgedContrastiveLoss(), batch)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("name", "on"), [one for one in ON if one[0] in (NOISE, MIXUP)])
def test_random_numbers_are_those_of_torch(name: str, on: dict[str, Any]) -> None:
    batch = random_batch(7, 11)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(float(made(name, on)(batch.queries, batch.documents, batch.pairs, 9.0)))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(("name", "on"), ON)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_finite_in_float32_at_scale_100(name: str, on: dict[str, Any], pattern: str) -> None:
    signs = torch.tensor([[1.0, 0.0]])
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed).to(torch.float32)
        sides = [x[:, :1].sign() * signs for x in (batch.queries, batch.documents)]
        for each in (batch, Batch(sides[0], sides[1], batch.pairs)):
            torch.manual_seed(seed)
            found = value_and_gradients(made(name, on), each, 100.0)
            assert found[0].dtype == torch.float32
            assert all(x.isfinite().all() for x in found)


@pytest.mark.parametrize(("name", "on"), FIXED)
@pytest.mark.parametrize("pattern", ["random", "full row", "all"])
def test_gradients_by_gradcheck(name: str, on: dict[str, Any], pattern: str) -> None:
    batch = random_batch(3, 4, pattern, seed=3)
    leaves = [batch.queries, batch.documents, batch.pairs.weights, torch.tensor(3.0).double()]
    loss = made(name, on)

    def of_leaves(queries: Tensor, documents: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
        value: Tensor = loss(queries, documents, replace(batch.pairs, weights=weights), scale)
        return value

    torch.autograd.gradcheck(of_leaves, [x.requires_grad_() for x in leaves])


def spread_loops(documents: Tensor, form: str) -> Tensor:
    count, dimension = documents.shape
    pairs = [(x, y) for x in range(count) for y in range(x)]
    if not pairs:
        return 0.0 * documents.sum()
    of_pairs = [(documents[x] * documents[y]).sum() for x, y in pairs]
    if form == "orthogonal":
        mean = reference.sum_of(of_pairs) / len(pairs)
        second = reference.sum_of(c * c for c in of_pairs) / len(pairs)
        return mean * mean + torch.relu(second - 1 / dimension)
    potentials = [torch.exp(-2.0 * ((documents[x] - documents[y]) ** 2).sum()) for x, y in pairs]
    return torch.log(reference.sum_of(potentials) / len(pairs))


@pytest.mark.parametrize("form", ["orthogonal", "uniformity"])
@each_direction
def test_spread_out_equals_plain_loops(form: str, direction: str) -> None:
    def loops(
        queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor | float
    ) -> Tensor:
        plain = reference.judged_contrastive_loops(
            queries, documents, pairs, scale, target="ranked", direction=direction
        )
        return plain + 0.7 * spread_loops(documents, form)

    loss = made(SPREAD, {"weight": 0.7, "form": form}, direction=direction)
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, seed=seed)
        found, expected = (tangential(value_and_gradients(f, batch), batch) for f in (loss, loops))
        assert_same(found, expected)


def tangential(found: list[Tensor], batch: Batch) -> list[Tensor]:
    """The gradient by documents without its part along them, which unit vectors cannot follow."""
    along = (found[2] * batch.documents).sum(1, keepdim=True) * batch.documents
    return [*found[:2], found[2] - along, *found[3:]]


def test_independent_uniform_vectors_are_spread_out() -> None:
    g = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(2000, 16, generator=g), dim=-1)
    assert float(spread(vectors, "orthogonal")) < 1e-3
    same = vectors[:1].expand(5, -1)
    assert float(spread(same, "orthogonal")) == pytest.approx(2 - 1 / 16, rel=1e-5)
    assert float(spread(same, "uniformity")) == pytest.approx(0.0, abs=1e-5)
    opposite = torch.cat([vectors[:1], -vectors[:1]])
    assert float(spread(opposite, "uniformity")) == pytest.approx(-8.0, rel=1e-5)


def unjudged_loops(
    *, unjudged: float, prior: float, direction: str, target: str, margin: float
) -> Callable[..., Tensor]:
    def side(rows: list[list[Tensor]], judged: list[reference.Judgment], s: Tensor) -> Tensor:
        losses = []
        for i, j, score, weight in judged:
            scores = {column: value for row, column, value, _ in judged if row == i}
            others = [k for k in range(len(rows[i])) if k not in scores]
            total = reference.sum_of(torch.exp(rows[i][k]) for k in others)
            if prior and others:
                count = len(others)
                total = (total - count * prior * torch.exp(rows[i][j])) / (1 - prior)
                total = torch.maximum(total, count * torch.exp(-s))
            total = unjudged * total
            if target == "ranked":
                lower = [k for k, value in scores.items() if value < score]
                total = total + reference.sum_of(torch.exp(rows[i][k]) for k in lower)
            own = torch.exp(rows[i][j] - s * margin)
            losses.append(weight * (torch.log(own + total) - torch.log(own)))
        return reference.sum_of(losses)

    def loops(queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor) -> Tensor:
        rows = reference.logits_loops(queries, documents, scale)
        columns = [list(column) for column in zip(*rows, strict=True)]
        judged = reference.judgments(pairs)
        flipped = [(j, i, score, weight) for i, j, score, weight in judged]
        sides = {
            "query_to_document": [(rows, judged)],
            "document_to_query": [(columns, flipped)],
            "both": [(rows, judged), (columns, flipped)],
        }[direction]
        total = reference.sum_of(side(z, known, scale) for z, known in sides)
        return total / (len(sides) * pairs.weights.sum())

    return loops


@pytest.mark.parametrize(("unjudged", "prior"), [(0.3, 0.0), (1.0, 0.1), (1.0, 0.6), (0.5, 0.3)])
@each_direction
@pytest.mark.parametrize(("target", "margin"), [("ranked", 0.2), ("mask", 0.0)])
def test_unjudged_equals_plain_loops(
    unjudged: float, prior: float, direction: str, target: str, margin: float
) -> None:
    common: dict[str, Any] = {"direction": direction, "target": target, "margin": margin}
    loss = made(UNJUDGED, {"unjudged": unjudged, "prior": prior}, **common)
    loops = unjudged_loops(unjudged=unjudged, prior=prior, **common)
    for pattern in PATTERNS:
        for seed, (m, n) in enumerate(SHAPES):
            batch = random_batch(m, n, pattern, seed=seed)
            found, expected = value_and_gradients(loss, batch), value_and_gradients(loops, batch)
            assert_same(found, expected, 1e-9)


def entmax_loops(logits: list[float], alpha: float) -> list[float]:
    """By bisection for τ, in Python floats."""
    z = [(alpha - 1) * x for x in logits]
    low, high = max(z) - 1, max(z)
    for _ in range(60):
        middle = (low + high) / 2
        total = sum(max(x - middle, 0.0) ** (1 / (alpha - 1)) for x in z)
        low, high = (middle, high) if total >= 1 else (low, middle)
    return [max(x - low, 0.0) ** (1 / (alpha - 1)) for x in z]


@pytest.mark.parametrize("alpha", [1.5, 2.0])
@each_direction
@pytest.mark.parametrize(("target", "margin"), [("ranked", 0.2), ("mask", 0.0)])
def test_entmax_equals_plain_loops(
    alpha: float, direction: str, target: str, margin: float
) -> None:
    def loops(
        queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor | float
    ) -> Tensor:
        def term(row: list[Tensor], j: int, others: list[int]) -> Tensor:
            z = [row[j] - scale * margin] + [row[k] for k in others]
            p = entmax_loops([float(x.detach()) for x in z], alpha)
            entropy = sum(x - x**alpha for x in p) / (alpha * (alpha - 1))
            products = reference.sum_of(a * x for a, x in zip(p, z, strict=True))
            return products + float(entropy) - z[0]

        return reference.weighted_sum(
            reference.logits_loops(queries, documents, scale),
            reference.judgments(pairs),
            term,
            target=target,
            direction=direction,
            reduction="mean",
        )

    loss = made(ENTMAX, {"alpha": alpha}, direction=direction, target=target, margin=margin)
    for pattern in PATTERNS:
        for seed, (m, n) in enumerate(SHAPES):
            batch = random_batch(m, n, pattern, seed=seed)
            assert_same(value_and_gradients(loss, batch), value_and_gradients(loops, batch))


@pytest.mark.parametrize("alpha", [1.5, 2.0])
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
def test_entmax_in_float32_is_that_by_bisection(alpha: float, size: float) -> None:
    g = torch.Generator().manual_seed(0)
    logits = size * torch.randn(8, 300, generator=g)
    logits[:, 100:] = -1e30
    expected = torch.tensor([entmax_loops(row.tolist(), alpha) for row in logits])
    torch.testing.assert_close(entmax(logits, alpha), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_entmax_has_no_loss_where_the_own_logit_leads_by_enough(alpha: float) -> None:
    lead = 1 / (alpha - 1)
    logits = torch.tensor([[lead, 0.0, -1.0], [lead - 0.5, 0.0, -1.0], [5.0, -1e30, -1e30]])
    found = fenchel_young(logits, alpha)
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[1] > 1e-3
    assert found[2] == 0


@pytest.mark.parametrize(("form", "cosine"), [("dropout", 0.8), ("gaussian", 1 / 1.36**0.5)])
def test_noise_keeps_unit_vectors_near(form: Any, cosine: float) -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(500, 256), dim=-1)
    found = noisy(vectors, {"dropout": 0.36, "gaussian": 0.6}[form], form)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(500))
    assert float((found * vectors).sum(1).mean()) == pytest.approx(cosine, abs=0.01)


def test_partners_are_other_pairs_of_the_query_uniformly() -> None:
    queries = torch.tensor([2, 0, 2, 1, 2, 0])
    pairs = JudgedPairs(queries, torch.arange(6), torch.zeros(6), torch.ones(6))
    torch.manual_seed(0)
    drawn = torch.stack([partners(pairs) for _ in range(400)])
    assert (queries[drawn] == queries).all()
    assert (drawn[:, 3] == 3).all(), "a query with one judged document"
    assert (drawn[:, 1] == 5).all()
    assert float((drawn[:, 0] == 2).double().mean()) == pytest.approx(0.5, abs=0.1)
    assert not (drawn[:, 0] == 0).any()


def test_what_queries_know_of_a_mixture() -> None:
    pairs = JudgedPairs(
        torch.tensor([0, 0, 1, 3, 3]),
        torch.tensor([0, 1, 0, 0, 1]),
        torch.tensor([3.0, 1.0, 2.0, 0.7, 0.7]),
        torch.tensor([1.0, 0.5, 0.8, 0.2, 0.2]),
    )
    first, second, part = torch.tensor([0]), torch.tensor([1]), torch.tensor([0.3])
    found = mixed_pairs(pairs, first, second, part, documents=4)
    assert found.queries.tolist() == [0, 1, 3], "query 2 has judged neither"
    assert found.documents.tolist() == [4, 4, 4]
    assert found.scores[0] == pytest.approx(0.3 * 3 + 0.7 * 1)
    assert found.weights[0] == pytest.approx(0.3 * 1 + 0.7 * 0.5)
    assert (float(found.scores[1]), float(found.weights[1])) == (4.0, 0.0)
    assert found.scores[2] == pairs.scores[3], "a mixture of ties is tied"


def test_a_mixture_competes_with_those_of_higher_score_alone() -> None:
    """All judged documents of a query that it is a part of, and none of the half-known ones."""
    queries, documents = torch.eye(2).double(), torch.tensor([[2.0, 0.5], [1.0, 3.0]]).double()
    pairs = JudgedPairs(
        torch.tensor([0, 0, 1]),
        torch.tensor([0, 1, 0]),
        torch.tensor([2.0, 1.0, 1.0]),
        torch.tensor([1.0, 0.5, 0.8]).double(),
    )
    torch.manual_seed(3)
    more, known = with_mixtures(documents, pairs, alpha=1.0, share=1.0)
    assert more.shape == (4, 2)  # one of each pair of query 0
    found = made(MIXUP, {"share": 0.0}, direction="query_to_document")(queries, more, known, 1.0)
    expected = reference.judged_contrastive_loops(
        queries, more, known, 1.0, target="ranked", direction="query_to_document"
    )
    assert_same([found], [expected])
    of_query_1 = [(j, s, round(float(w), 6)) for i, j, s, w in reference.judgments(known) if i == 1]
    assert sorted(of_query_1) == [
        (0, 1.0, 0.8), (2, 3.0, 0.0), (3, 3.0, 0.0),
    ]  # fmt: skip
    norms = more[2:].norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(2).double())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (SPREAD, {"weight": -1.0}),
        (SPREAD, {"form": "round"}),
        (NOISE, {"p": 1.0}),
        (NOISE, {"form": "round"}),
        (MIXUP, {"alpha": 0.0}),
        (MIXUP, {"share": 1.5}),
        (UNJUDGED, {"unjudged": 0.0}),
        (UNJUDGED, {"prior": 1.0}),
        (UNJUDGED, {"prior": math.nan}),
        (ENTMAX, {"alpha": 1.2}),
    ],
)
def test_a_parameter_out_of_range_is_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        made(name, wrong)


@pytest.mark.parametrize("name", [MIXUP, UNJUDGED, ENTMAX])
def test_targets_without_an_unjudged_competitor_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="target"):
        made(name, {}, target="soft")
