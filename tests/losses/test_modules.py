"""Every loss as a module: the function's value, whose logit scale it is, and the reductions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference
from judged_batches import (
    PATTERNS,
    TARGETS,
    Batch,
    assert_same,
    gains,
    random_batch,
    value_and_gradients,
)
from rankfield.losses import (
    LOSSES,
    ContrastiveLoss,
    JudgedContrastiveLoss,
    JudgedPairs,
    LambdaLoss,
    ListNetLoss,
    MarginMSELoss,
    MatryoshkaLoss,
    RankingLoss,
    SigmoidLoss,
    contrastive_loss,
    judged_contrastive_loss,
    lambda_loss,
    listnet_loss,
    loss_description,
    make_loss,
    margin_mse_loss,
    matryoshka,
    sigmoid_loss,
)
from rankfield.losses.reduction import Direction

SCALE = 9.0

each_name = pytest.mark.parametrize("name", LOSSES)
each_direction = pytest.mark.parametrize(
    "direction", ["query_to_document", "document_to_query", "both"]
)


def made(name: str, **settings: Any) -> RankingLoss:
    """Return the loss with gains that are at least 0."""
    if name == "lambda":
        settings["gain"] = lambda scores: torch.exp2(scores.double() / 2) - 0.5
    return LOSSES[name](**settings)


def called(loss: RankingLoss, batch: Batch, *scale: Tensor | float) -> Tensor:
    bias = [-3.0] if loss.takes_bias and scale else []
    value: Tensor = loss(batch.queries, batch.documents, batch.pairs, *scale, *bias)
    return value


def test_a_module_is_its_function() -> None:
    batch = random_batch(7, 5, seed=1)
    q, d, pairs = batch.queries, batch.documents, batch.pairs
    common: dict[str, Any] = {"direction": "query_to_document", "reduction": "batchmean"}
    rows = q[pairs.queries], d[pairs.documents], pairs.weights
    found = ContrastiveLoss(**common)(*rows, SCALE)
    assert torch.equal(found, contrastive_loss(*rows, SCALE, **common))
    assert torch.equal(ContrastiveLoss(**common)(q, d, pairs, SCALE), found)
    known = {**common, "target": "mask", "margin": 0.2}
    found = JudgedContrastiveLoss(**known)(q, d, pairs, SCALE)
    assert torch.equal(found, judged_contrastive_loss(q, d, pairs, SCALE, **known))
    known = {**common, "target": "ranked"}
    found = SigmoidLoss(**known)(q, d, pairs, SCALE, -2.0)
    assert torch.equal(found, sigmoid_loss(q, d, pairs, SCALE, -2.0, **known))
    found = ListNetLoss(reduction="sum")(q, d, pairs, SCALE)
    assert torch.equal(found, listnet_loss(q, d, pairs, SCALE, reduction="sum"))
    found = LambdaLoss(scheme="ndcg2", reduction="sum")(q, d, pairs, SCALE)
    by_score = lambda_loss(q, d, pairs, pairs.scores, SCALE, scheme="ndcg2", reduction="sum")
    assert torch.equal(found, by_score)
    found = LambdaLoss(gain=lambda scores: 2 * scores)(q, d, pairs, SCALE)
    assert torch.equal(found, lambda_loss(q, d, pairs, 2 * pairs.scores, SCALE))
    nested = MatryoshkaLoss(JudgedContrastiveLoss(), [2], [0.5])(q, d, pairs, SCALE)

    def of_two(a: Tensor, b: Tensor) -> Tensor:
        return judged_contrastive_loss(a, b, pairs, SCALE)

    assert torch.equal(nested, matryoshka(of_two, q, d, [2], [0.5]))


@each_direction
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_target_pair_is_the_loss_of_each_pair_alone(direction: Direction, pattern: str) -> None:
    """With a query, a document and even a pair of a batch repeated."""
    batch = random_batch(4, 3, pattern, seed=3)
    pairs = batch.pairs
    twice = type(pairs)(*(torch.cat([x, x[:1]]) for x in vars(pairs).values()))
    rows = batch.queries[twice.queries], batch.documents[twice.documents]
    found = judged_contrastive_loss(
        batch.queries, batch.documents, twice, SCALE, target="pair", direction=direction
    )
    assert torch.equal(found, contrastive_loss(*rows, twice.weights, SCALE, direction=direction))
    found = sigmoid_loss(
        batch.queries, batch.documents, twice, SCALE, -2.0, target="pair", direction=direction
    )
    own = twice.one_by_one()
    assert torch.equal(found, sigmoid_loss(*rows, own, SCALE, -2.0, direction=direction))


@pytest.mark.parametrize("name", [x for x in LOSSES if x != "margin_mse"])
def test_the_logit_scale_is_the_models_unless_there_is_none(name: str) -> None:
    batch = random_batch(5, 6, seed=2).to(torch.float32)
    plain = made(name)
    assert list(plain.parameters()) == []
    with pytest.raises(ValueError, match="there is no logit"):
        called(plain, batch)
    own = made(name, logit_scale=SCALE, **({"logit_bias": -3.0} if plain.takes_bias else {}))
    names = {"log_logit_scale"} | ({"own_logit_bias"} if plain.takes_bias else set())
    assert {one for one, _ in own.named_parameters()} == names
    torch.testing.assert_close(called(own, batch), called(plain, batch, SCALE))
    assert torch.equal(called(own, batch, 20.0), called(plain, batch, 20.0))
    with pytest.raises(ValueError, match="logit scale above 0"):
        made(name, logit_scale=0.0)


def test_margin_mse_has_no_use_for_a_scale_and_takes_gains() -> None:
    batch = random_batch(5, 6, seed=2)
    doubled = MarginMSELoss(spread=1.0, gain=lambda scores: 2 * scores)
    found = called(doubled, batch)
    assert torch.equal(called(doubled, batch, SCALE), found)
    grades = 2 * batch.pairs.scores
    of_grades = partial(margin_mse_loss, batch.queries, batch.documents, batch.pairs, grades)
    assert torch.equal(found, of_grades(spread=1.0))
    assert not torch.equal(found, of_grades())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_margin_mse_is_the_mean_square_over_all_pairs_of_documents(reduction: Any) -> None:
    batch = random_batch(6, 7, "full row", seed=3)
    pairs = batch.pairs
    grades = torch.zeros(6, 7, dtype=torch.float64)
    grades[pairs.queries, pairs.documents] = pairs.scores.double() / 4
    cosines = batch.queries @ batch.documents.T / 0.3
    judged = torch.unique(pairs.queries)
    margins = [(x[judged, :, None] - x[judged, None, :]).flatten(1) for x in (cosines, grades)]
    rows = F.mse_loss(margins[0], margins[1], reduction="none").mean(1)
    expected = {"mean": rows.mean(), "sum": rows.sum(), "none": rows}[reduction]
    loss = MarginMSELoss(spread=0.3, reduction=reduction, gain=lambda scores: scores.double() / 4)
    torch.testing.assert_close(called(loss, batch), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, -1.0, 2.5, float("nan")])
def test_margin_mse_refuses_a_spread_that_no_cosines_have(spread: float) -> None:
    with pytest.raises(ValueError, match="spread above 0, to 2"):
        MarginMSELoss(spread=spread)


def test_margin_mse_is_exact_where_the_fit_is_nearly_perfect() -> None:
    """The variance is a difference of sums; in float32 they would cancel."""
    angles = torch.linspace(0.1, 1.5, 40, dtype=torch.float64)
    documents = torch.stack([angles.cos(), angles.sin()], 1)
    queries = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    grades = (queries @ documents.T)[0] + 1e-4 * torch.sin(50 * angles)
    rows = torch.arange(40)
    pairs = JudgedPairs(0 * rows, rows, grades, torch.ones(40).double())
    exact = reference.margin_mse_loops(queries, documents, pairs, grades, spread=1.0)
    found = margin_mse_loss(queries.float(), documents.float(), pairs, grades, spread=1.0)
    torch.testing.assert_close(found, exact, rtol=1e-2, atol=0.0, check_dtype=False)


def test_a_sigmoid_loss_needs_a_bias() -> None:
    batch = random_batch(5, 6, seed=2)
    with pytest.raises(ValueError, match=r"there is no logit bias.*SigmoidLoss\(logit_bias="):
        SigmoidLoss()(batch.queries, batch.documents, batch.pairs, SCALE)


def test_an_own_logit_scale_is_learnt_up_to_100() -> None:
    """In a plain loop: the encoder's parameters and the loss's go to one optimiser."""
    batch = random_batch(6, 8, seed=4).to(torch.float32)
    torch.manual_seed(0)
    encoder = nn.Linear(3, 3)
    loss = JudgedContrastiveLoss(logit_scale=99.0)
    optimizer = torch.optim.SGD([*encoder.parameters(), *loss.parameters()], lr=0.5)
    values = []
    for _ in range(30):
        queries = nn.functional.normalize(encoder(batch.queries), dim=-1)
        value = loss(queries, batch.documents, batch.pairs)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0] / 2
    assert loss.log_logit_scale is not None
    assert float(loss.log_logit_scale.detach()) != pytest.approx(math.log(99.0))
    with torch.no_grad():
        loss.log_logit_scale.fill_(10.0)
    capped = loss(batch.queries, batch.documents, batch.pairs)
    at_100 = JudgedContrastiveLoss()(batch.queries, batch.documents, batch.pairs, 100.0)
    torch.testing.assert_close(capped, at_100)


@pytest.mark.parametrize("target", TARGETS)
@each_direction
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_unreduced_losses_equal_plain_loops(
    target: str, direction: str, pattern: str, reduction: str
) -> None:
    settings: Any = {"target": target, "direction": direction, "reduction": reduction}
    forms: list[tuple[Any, Any]] = [
        (partial(judged_contrastive_loss, **settings), reference.judged_contrastive_loops),
        (partial(sigmoid_loss, logit_bias=-3.0, **settings), reference.sigmoid_loops),
    ]
    batch = random_batch(5, 7, pattern, seed=5)
    for loss, loops in forms:
        bias = {} if loops is reference.judged_contrastive_loops else {"bias": -3.0}
        plain = partial(loops, **settings, **bias)
        if reduction == "none":
            found = loss(batch.queries, batch.documents, batch.pairs, SCALE)
            expected = plain(batch.queries, batch.documents, batch.pairs, SCALE)
            assert found.shape == (len(batch.pairs),)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        else:
            assert_same(value_and_gradients(loss, batch), value_and_gradients(plain, batch))


@each_direction
def test_unreduced_contrastive_losses_sum_to_the_others(direction: Direction) -> None:
    batch = random_batch(6, 6, "all", seed=6)
    weights = batch.pairs.weights[:6]
    each, total, mean, batchmean = (
        contrastive_loss(
            batch.queries, batch.documents, weights, SCALE, direction=direction, reduction=reduction
        )
        for reduction in ("none", "sum", "mean", "batchmean")
    )
    assert each.shape == (6,)
    torch.testing.assert_close(each.sum(), total)
    torch.testing.assert_close(each.sum() / weights.sum(), mean)
    torch.testing.assert_close(each.sum() / 6, batchmean)
    alone = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 0.0]).double() * weights
    third = contrastive_loss(
        batch.queries, batch.documents, alone, SCALE, direction=direction, reduction="sum"
    )
    torch.testing.assert_close(each[2], third)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_unreduced_listwise_losses_equal_plain_loops(reduction: Any) -> None:
    batch = random_batch(6, 7, "full row", seed=7)
    q, d, pairs = batch.queries, batch.documents, batch.pairs
    found = listnet_loss(q, d, pairs, SCALE, reduction=reduction)
    expected = reference.listnet_loops(q, d, pairs, SCALE, reduction=reduction)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    found = lambda_loss(q, d, pairs, gains(pairs), SCALE, reduction=reduction)
    expected = reference.lambda_loops(
        q, d, pairs, gains(pairs), SCALE, scheme="ndcg2++", reduction=reduction
    )
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert found.shape == ((len(set(pairs.queries.tolist())),) if reduction == "none" else ())
    functions: list[Any] = [listnet_loss, partial(lambda_loss, gains=gains(pairs))]
    for function in functions:
        with pytest.raises(ValueError, match="expected the reduction mean, sum or none"):
            function(q, d, pairs, logit_scale=SCALE, reduction="batchmean")


@each_name
def test_the_table_makes_and_describes_each_loss(name: str) -> None:
    settings = {
        "target": "ranked",
        "direction": "query_to_document",
        "reduction": "sum",
        "margin": 0.0,
        "gain": None,
    }
    loss = make_loss(name, settings)
    assert type(loss) is LOSSES[name]
    assert getattr(loss, "reduction", "sum") == "sum"
    assert getattr(loss, "direction", "query_to_document") == "query_to_document"
    assert 20 < len(loss_description(name)) <= 100


def test_names_and_parameters_that_are_unknown() -> None:
    known = ", ".join(LOSSES)
    message = f"unknown loss 'lamda'; known losses: {known}. Did you mean 'lambda'"
    with pytest.raises(ValueError, match=message):
        make_loss("lamda", {})
    assert make_loss("lambda", {}, {"scheme": "ndcg2"}).scheme == "ndcg2"
    with pytest.raises(ValueError, match="'lambda' has no parameter 'schem'; it has scheme, gain"):
        make_loss("lambda", {"reduction": "mean"}, {"schem": "ndcg2"})
    with pytest.raises(ValueError, match="has no parameter 'reduction'"):
        make_loss("lambda", {"reduction": "mean"}, {"reduction": "sum"})
    with pytest.raises(ValueError, match="has no parameter 'logit_scale'; it has none"):
        make_loss("listnet", {"reduction": "mean", "distributed": False}, {"logit_scale": 3.0})
    with pytest.raises(ValueError, match="expected the scheme lambdarank, ndcg2 or ndcg2"):
        make_loss("lambda", {}, {"scheme": "map"})
