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
from rankfield.losses.judged import Direction
from rankfield.losses.targets import Target

TARGETS: list[Target] = ["mask", "soft", "ranked"]
DIRECTIONS: list[Direction] = ["rows", "columns", "both"]

each_target = pytest.mark.parametrize("target", TARGETS)
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def one_judgment_each(n: int, seed: int = 0) -> tuple[Batch, Tensor]:
    """A batch whose queries and documents have one judgment each, and the documents by query."""
    batch = random_batch(n, n, "all", seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    weights = batch.pairs.weights[:n]
    pairs = JudgedPairs(torch.arange(n), order, torch.arange(n).double() % 3, weights)
    return replace(batch, pairs=pairs), batch.right[order]


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
        "normaliser": "count",
        "margin": margin,
    }
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed)
        found = value_and_gradients(partial(judged_contrastive_loss, **keywords), batch)
        loops = partial(reference.judged_contrastive_loops, **keywords)
        assert_same(found, value_and_gradients(loops, batch))


@each_target
@each_direction
@pytest.mark.parametrize("normaliser", ["weights", "count"])
def test_of_one_judgment_each_all_targets_are_the_contrastive_loss(
    target: Target, direction: Direction, normaliser: str
) -> None:
    batch, documents = one_judgment_each(9)
    keywords: dict[str, Any] = {"direction": direction, "normaliser": normaliser}
    found = judged_contrastive_loss(
        batch.left, batch.right, batch.pairs, 9.0, target=target, **keywords
    )
    expected = contrastive_loss(batch.left, documents, batch.pairs.weights, 9.0, **keywords)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@each_target
@each_direction
def test_of_one_judgment_each_and_no_weights_it_is_clip(
    target: Target, direction: Direction
) -> None:
    batch, documents = one_judgment_each(8, seed=1)
    pairs = replace(batch.pairs, weights=torch.ones(8).double())
    logits, own = 20.0 * batch.left @ documents.T, torch.arange(8)
    sides = {"rows": F.cross_entropy(logits, own), "columns": F.cross_entropy(logits.T, own)}
    sides["both"] = (sides["rows"] + sides["columns"]) / 2
    found = judged_contrastive_loss(
        batch.left, batch.right, pairs, 20.0, target=target, direction=direction
    )
    torch.testing.assert_close(found, sides[direction], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_soft_is_cross_entropy_with_soft_labels_by_row_weight(pattern: str) -> None:
    left, right, pairs = vars(random_batch(7, 5, pattern, seed=2)).values()
    labels, row_weight = soft_labels(pairs, 7, 5)
    rows = F.cross_entropy(6.0 * left @ right.T, labels, reduction="none")
    found = judged_contrastive_loss(left, right, pairs, 6.0, target="soft", direction="rows")
    torch.testing.assert_close(found, rows @ row_weight / row_weight.sum())


def test_ranked_of_all_in_distinct_scores_is_the_plackett_luce_likelihood() -> None:
    left, right, pairs = vars(random_batch(3, 4, "all", seed=3)).values()
    pairs = replace(pairs, weights=torch.ones(12).double())
    grades = torch.zeros(3, 4, dtype=torch.float64)
    grades[pairs.queries, pairs.documents] = pairs.scores.double()
    likelihood = 0.0
    for row, order in zip(4.0 * left @ right.T, grades.argsort(descending=True), strict=True):
        for first in range(4):
            likelihood += float(row[order[first:]].log_softmax(0)[0])
    found = judged_contrastive_loss(left, right, pairs, 4.0, target="ranked", direction="rows")
    assert float(found) == pytest.approx(-likelihood / 12, rel=1e-12)


def test_the_probabilities_of_all_orders_sum_to_one() -> None:
    left, right = from_logits(torch.tensor([[0.3, -1.2, 2.0, 0.7]]).double())
    total = 0.0
    for scores in itertools.permutations(range(4)):
        one = torch.ones(4).double()
        pairs = JudgedPairs(torch.zeros(4).long(), torch.arange(4), torch.tensor(scores), one)
        loss = judged_contrastive_loss(left, right, pairs, 1.0, direction="rows")
        total += float(torch.exp(-4 * loss))
    assert total == pytest.approx(1.0, rel=1e-12)


def test_a_pair_of_no_weight_is_judged_all_the_same() -> None:
    left, right, pairs = vars(random_batch(1, 4, "all", seed=5)).values()
    first = torch.arange(4) == 0
    light = replace(pairs, weights=pairs.weights.where(~first, 0.0))
    without = JudgedPairs(*(x[~first] for x in vars(pairs).values()))
    with_it, unjudged = (
        judged_contrastive_loss(left, right, p, 5.0, target="mask", direction="rows")
        for p in (light, without)
    )
    assert with_it == 0
    assert unjudged > 0.01


def test_mask_is_ranked_unless_documents_are_judged_wrong() -> None:
    """With relevant documents alone they are the same; a judged 0 competes under ranked only."""
    left, right, pairs = vars(random_batch(3, 6, "all", seed=5)).values()
    chosen = pairs.documents < 4
    pairs = JudgedPairs(*(x[chosen] for x in vars(pairs).values()))
    for scores in (torch.ones_like(pairs.scores), (pairs.documents < 2).to(pairs.scores)):
        known = replace(pairs, scores=scores, weights=scores)
        mask, ranked = (
            judged_contrastive_loss(left, right, known, 5.0, target=target, direction="rows")
            for target in ("mask", "ranked")
        )
        if scores.all():
            assert mask == pytest.approx(float(ranked))
        else:
            assert ranked > mask + 0.01


@each_target
def test_a_perfect_fit_costs_nothing_and_a_margin_asks_for_more(target: Target) -> None:
    batch, _ = one_judgment_each(5)
    left, right = torch.eye(5).double(), torch.eye(5).double()[batch.pairs.documents.argsort()]
    loss = partial(judged_contrastive_loss, left, right, batch.pairs, 100.0, target=target)
    assert 0 <= float(loss()) < 1e-40
    if target != "soft":
        assert float(loss(margin=1.0)) == pytest.approx(math.log(5), rel=1e-12)


def test_unknown_names_and_margins_are_refused() -> None:
    left, right, pairs = vars(random_batch(4, 3)).values()
    refused: list[tuple[dict[str, Any], str]] = [
        ({"target": "pair"}, "expected the target"),
        ({"direction": "up"}, "expected the direction"),
        ({"normaliser": "sum"}, "expected the normaliser"),
        ({"margin": -0.1}, "margin of 0 to 1"),
        ({"margin": float("nan")}, "margin of 0 to 1"),
        ({"margin": 0.1, "target": "soft"}, "has no margin"),
    ]
    for wrong, message in refused:
        with pytest.raises(ValueError, match=message):
            judged_contrastive_loss(left, right, pairs, 1.0, **wrong)
