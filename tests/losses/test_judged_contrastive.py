"""What mask, soft and ranked mean, as softmax and as sigmoid; test_numerics.py has the rest."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
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
    Batch,
    assert_same,
    from_logits,
    random_batch,
    soft_labels,
    value_and_gradients,
)
from rankfield.losses import JudgedPairs, contrastive_loss, judged_contrastive_loss
from rankfield.losses.judged_contrastive import Target
from rankfield.losses.reduction import Direction

TARGETS: list[Target] = ["mask", "soft", "ranked"]
DIRECTIONS: list[Direction] = ["query_to_document", "document_to_query", "both"]

each_target = pytest.mark.parametrize("target", TARGETS)
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def one_judgment_each(n: int, seed: int = 0) -> tuple[Batch, Tensor]:
    """A batch whose queries and documents have one judgment each, and the documents by query."""
    batch = random_batch(n, n, "all", seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    weights = batch.pairs.weights[:n]
    pairs = JudgedPairs(torch.arange(n), order, torch.arange(n).double() % 3, weights)
    return replace(batch, pairs=pairs), batch.documents[order]


@pytest.mark.parametrize(
    ("target", "margin"), [("soft", 0.0), *itertools.product(("mask", "ranked"), (0.0, 0.2, 1.0))]
)
@each_direction
@pytest.mark.parametrize("pattern", PATTERNS)
def test_margin_and_count_equal_plain_loops(
    target: Target, direction: Direction, pattern: str, margin: float
) -> None:
    keywords: dict[str, Any] = {
        "target": target,
        "direction": direction,
        "reduction": "batchmean",
        "margin": margin,
    }
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed)
        found = value_and_gradients(partial(judged_contrastive_loss, **keywords), batch)
        loops = partial(reference.judged_contrastive_loops, **keywords)
        assert_same(found, value_and_gradients(loops, batch))


@each_target
@each_direction
@pytest.mark.parametrize("reduction", ["mean", "batchmean"])
def test_of_one_judgment_each_all_targets_are_the_contrastive_loss(
    target: Target, direction: Direction, reduction: str
) -> None:
    batch, documents = one_judgment_each(9)
    keywords: dict[str, Any] = {"direction": direction, "reduction": reduction}
    found = judged_contrastive_loss(
        batch.queries, batch.documents, batch.pairs, 9.0, target=target, **keywords
    )
    expected = contrastive_loss(batch.queries, documents, batch.pairs.weights, 9.0, **keywords)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@each_target
@each_direction
def test_of_one_judgment_each_and_no_weights_it_is_clip(
    target: Target, direction: Direction
) -> None:
    batch, documents = one_judgment_each(8, seed=1)
    pairs = replace(batch.pairs, weights=torch.ones(8).double())
    logits, own = 20.0 * batch.queries @ documents.T, torch.arange(8)
    sides = {
        "query_to_document": F.cross_entropy(logits, own),
        "document_to_query": F.cross_entropy(logits.T, own),
    }
    sides["both"] = (sides["query_to_document"] + sides["document_to_query"]) / 2
    found = judged_contrastive_loss(
        batch.queries, batch.documents, pairs, 20.0, target=target, direction=direction
    )
    torch.testing.assert_close(found, sides[direction], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_soft_is_cross_entropy_with_soft_labels_by_row_weight(pattern: str) -> None:
    queries, documents, pairs = vars(random_batch(7, 5, pattern, seed=2)).values()
    labels, row_weight = soft_labels(pairs, 7, 5)
    rows = F.cross_entropy(6.0 * queries @ documents.T, labels, reduction="none")
    found = judged_contrastive_loss(
        queries, documents, pairs, 6.0, target="soft", direction="query_to_document"
    )
    torch.testing.assert_close(found, rows @ row_weight / row_weight.sum())


def test_ranked_of_all_in_distinct_scores_is_the_plackett_luce_likelihood() -> None:
    queries, documents, pairs = vars(random_batch(3, 4, "all", seed=3)).values()
    pairs = replace(pairs, weights=torch.ones(12).double())
    grades = torch.zeros(3, 4, dtype=torch.float64)
    grades[pairs.queries, pairs.documents] = pairs.scores.double()
    likelihood = 0.0
    for row, order in zip(
        4.0 * queries @ documents.T, grades.argsort(descending=True), strict=True
    ):
        for first in range(4):
            likelihood += float(row[order[first:]].log_softmax(0)[0])
    found = judged_contrastive_loss(
        queries, documents, pairs, 4.0, target="ranked", direction="query_to_document"
    )
    assert float(found) == pytest.approx(-likelihood / 12, rel=1e-12)


def test_the_probabilities_of_all_orders_sum_to_one() -> None:
    queries, documents = from_logits(torch.tensor([[0.3, -1.2, 2.0, 0.7]]).double())
    total = 0.0
    for scores in itertools.permutations(range(4)):
        one = torch.ones(4).double()
        pairs = JudgedPairs(torch.zeros(4).long(), torch.arange(4), torch.tensor(scores), one)
        loss = judged_contrastive_loss(
            queries, documents, pairs, 1.0, direction="query_to_document"
        )
        total += float(torch.exp(-4 * loss))
    assert total == pytest.approx(1.0, rel=1e-12)


def test_a_pair_of_no_weight_is_judged_all_the_same() -> None:
    queries, documents, pairs = vars(random_batch(1, 4, "all", seed=5)).values()
    first = torch.arange(4) == 0
    light = replace(pairs, weights=pairs.weights.where(~first, 0.0))
    without = JudgedPairs(*(x[~first] for x in vars(pairs).values()))
    with_it, unjudged = (
        judged_contrastive_loss(
            queries, documents, p, 5.0, target="mask", direction="query_to_document"
        )
        for p in (light, without)
    )
    assert with_it == 0
    assert unjudged > 0.01


def test_mask_is_ranked_unless_documents_are_judged_wrong() -> None:
    """With relevant documents alone they are the same; a judged 0 competes under ranked only."""
    queries, documents, pairs = vars(random_batch(3, 6, "all", seed=5)).values()
    chosen = pairs.documents < 4
    pairs = JudgedPairs(*(x[chosen] for x in vars(pairs).values()))
    for scores in (torch.ones_like(pairs.scores), (pairs.documents < 2).to(pairs.scores)):
        known = replace(pairs, scores=scores, weights=scores)
        mask, ranked = (
            judged_contrastive_loss(
                queries, documents, known, 5.0, target=target, direction="query_to_document"
            )
            for target in ("mask", "ranked")
        )
        if scores.all():
            assert mask == pytest.approx(float(ranked))
        else:
            assert ranked > mask + 0.01


@each_target
def test_a_perfect_fit_costs_nothing_and_a_margin_asks_for_more(target: Target) -> None:
    batch, _ = one_judgment_each(5)
    queries, documents = (
        torch.eye(5).double(),
        torch.eye(5).double()[batch.pairs.documents.argsort()],
    )
    loss = partial(judged_contrastive_loss, queries, documents, batch.pairs, 100.0, target=target)
    assert 0 <= float(loss()) < 1e-40
    if target != "soft":
        assert float(loss(margin=1.0)) == pytest.approx(math.log(5), rel=1e-12)


def test_unknown_names_and_margins_are_refused() -> None:
    queries, documents, pairs = vars(random_batch(4, 3)).values()
    refused: list[tuple[dict[str, Any], str]] = [
        ({"target": "pairs"}, "expected the target pair, mask, soft or ranked"),
        ({"direction": "up"}, "expected the direction"),
        ({"reduction": "count"}, "expected the reduction mean, batchmean, sum or none"),
        ({"margin": -0.1}, "margin of 0 to 1"),
        ({"margin": float("nan")}, "margin of 0 to 1"),
        ({"margin": 0.1, "target": "soft"}, "a margin needs the target mask or ranked"),
        ({"margin": 0.1, "target": "pair"}, "a margin needs the target mask or ranked"),
    ]
    for wrong, message in refused:
        with pytest.raises(ValueError, match=message):
            judged_contrastive_loss(queries, documents, pairs, 1.0, **wrong)
