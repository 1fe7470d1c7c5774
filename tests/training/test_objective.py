from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from rankfield.encoders.encoded import Encoded
from rankfield.losses import (
    LOSSES,
    JudgedPairs,
    contrastive_loss,
    judged_contrastive_loss,
    lambda_loss,
    listnet_loss,
    margin_mse_loss,
    sigmoid_loss,
    truncated,
)
from rankfield.metrics import GainMap
from rankfield.schema import ScoreScale
from rankfield.training.objective import BatchPairs, LossSection, Objective

SCALE = ScoreScale(0, 4, 2)
QUERIES, DOCUMENTS = 3, 5


def batch() -> tuple[Encoded, BatchPairs]:
    generator = torch.Generator().manual_seed(0)

    def units(n: int) -> torch.Tensor:
        vectors = torch.randn(n, 6, generator=generator, dtype=torch.float64)
        return F.normalize(vectors, dim=-1)

    sampled = JudgedPairs(
        torch.tensor([0, 0, 1, 2]),
        torch.tensor([0, 1, 2, 3]),
        torch.tensor([4.0, 2.0, 1.0, 3.0]).double(),
        torch.tensor([1.0, 0.5, 0.3, 0.8]).double(),
    )
    judged = JudgedPairs(
        torch.tensor([0, 0, 1, 1, 2]),
        torch.tensor([0, 1, 2, 0, 3]),
        torch.tensor([4.0, 2.0, 1.0, 4.0, 3.0]).double(),
        torch.tensor([1.0, 0.5, 0.3, 1.0, 0.8]).double(),
    )
    title = units(DOCUMENTS)
    title[1] = 0.0
    encoded = Encoded(
        units(QUERIES),
        units(DOCUMENTS),
        torch.tensor(9.0).double(),
        torch.tensor(-3.0).double(),
        {"title": title},
    )
    return encoded, BatchPairs(sampled, judged)


def loss_of(**section: Any) -> torch.Tensor:
    return Objective(LossSection(**section), SCALE)(*batch())


def test_pair_takes_each_sampled_pair_as_a_row_and_a_column() -> None:
    encoded, pairs = batch()
    queries = encoded.queries[pairs.sampled.queries]
    documents = encoded.documents[pairs.sampled.documents]
    for direction in ("query_to_document", "both"):
        expected = contrastive_loss(
            queries, documents, pairs.sampled.weights, 9.0, direction=direction
        )
        torch.testing.assert_close(loss_of(target="pair", direction=direction), expected)
    place = torch.arange(4)
    diagonal = JudgedPairs(place, place, pairs.sampled.scores, pairs.sampled.weights)
    expected = sigmoid_loss(queries, documents, diagonal, 9.0, -3.0)
    torch.testing.assert_close(loss_of(target="pair", name="sigmoid", direction="both"), expected)


@pytest.mark.parametrize("target", ["mask", "soft", "ranked"])
def test_other_targets_take_all_judgments(target: Any) -> None:
    queries, documents, *_ = batch()[0]
    judged = batch()[1].judged
    expected = judged_contrastive_loss(
        queries,
        documents,
        judged,
        9.0,
        target=target,
        direction="query_to_document",
        reduction="batchmean",
    )
    found = loss_of(target=target, direction="query_to_document", reduction="batchmean")
    torch.testing.assert_close(found, expected)
    expected = sigmoid_loss(queries, documents, judged, 9.0, -3.0, target=target)
    torch.testing.assert_close(loss_of(target=target, name="sigmoid", direction="both"), expected)


@pytest.mark.parametrize("name", ["contrastive", "judged_contrastive", "sigmoid"])
def test_a_memory_budget_is_passed_on_and_refused_where_it_has_no_meaning(name: str) -> None:
    target = "pair" if name == "contrastive" else "ranked"
    section = LossSection(name=name, target=target, memory_mib=3.0)  # type: ignore[arg-type]
    assert Objective(section, SCALE).main.memory_mib == 3.0
    with pytest.raises(ValueError, match=r"a memory_mib other than 128.* needs another loss"):
        LossSection(name="listnet", direction="query_to_document", memory_mib=3.0)
    with pytest.raises(ValueError, match="memory_mib"):
        LossSection(memory_mib=-1.0)


def test_a_margin_is_passed_on_and_refused_where_it_has_no_meaning() -> None:
    queries, documents, *_ = batch()[0]
    expected = judged_contrastive_loss(queries, documents, batch()[1].judged, 9.0, margin=0.2)
    torch.testing.assert_close(loss_of(target="ranked", direction="both", margin=0.2), expected)
    for values in ({"target": "soft"}, {"target": "pair"}, {"name": "sigmoid"}):
        with pytest.raises(ValueError, match="a margin needs"):
            LossSection(margin=0.1, **values)  # type: ignore[arg-type]


def test_keys_that_a_loss_does_not_take_are_refused_unless_at_their_default() -> None:
    keys = {"target": "soft", "direction": "both", "reduction": "sum", "logit_bias": -3.0}
    for name, loss in LOSSES.items():
        for key, value in keys.items():
            taken = key in signature(loss).parameters
            with nullcontext() if taken else pytest.raises(ValueError, match=f"; {name} has none"):
                LossSection(name=name, **{key: value})  # type: ignore[arg-type]
        LossSection(**{**LossSection().model_dump(), "name": name})
    LossSection(name="contrastive", target="pair")  # what it does


def test_listwise_terms_are_added() -> None:
    queries, documents, *_ = batch()[0]
    judged = batch()[1].judged
    alone = loss_of(target="mask")
    terms = {
        "listnet": listnet_loss(queries, documents, judged, 9.0 / 2),
        "lambda": lambda_loss(queries, documents, judged, judged.scores / 4, 9.0 / 2),
    }
    for name, term in terms.items():
        found = loss_of(target="mask", listwise=name, listwise_weight=0.7, listwise_temperature=2.0)
        torch.testing.assert_close(found, alone + 0.7 * term)


def test_margins_of_grades_are_added_in_each_dimension() -> None:
    queries, documents, *_ = batch()[0]
    judged = batch()[1].judged
    wide, narrow = (
        margin_mse_loss(*cut, judged, judged.scores / 4, spread=0.3)
        for cut in [(queries, documents), (truncated(queries, 2), truncated(documents, 2))]
    )
    found = loss_of(margin_mse=3.0, margin_mse_spread=0.3)
    torch.testing.assert_close(found, loss_of() + 3.0 * wide)
    found = loss_of(margin_mse=3.0, margin_mse_spread=0.3, matryoshka=[2])
    torch.testing.assert_close(found, loss_of(matryoshka=[2]) + 3.0 * (wide + narrow) / 2)
    with pytest.raises(ValueError, match=r"margin_mse_spread.* needs a margin_mse above 0"):
        LossSection(margin_mse_spread=0.3)


@pytest.mark.parametrize(
    "scale",
    [ScoreScale(0, 4, 2), ScoreScale(1, 5, 3), ScoreScale(-2, 4, 1, gain_floor=0)],
)
def test_lambda_loss_counts_the_gains_of_the_reported_ndcg(scale: ScoreScale) -> None:
    encoded, pairs = batch()
    pairs = replace(pairs, judged=replace(pairs.judged, scores=pairs.judged.scores - 1.0))
    section = LossSection(listwise="lambda", listwise_weight=1.0)
    listwise = Objective(section, scale)(encoded, pairs) - Objective(LossSection(), scale)(
        encoded, pairs
    )
    gains = torch.from_numpy(GainMap(scale).fraction(pairs.judged.scores.numpy()))
    assert gains.min() == 0
    sharpness = 9.0 / section.listwise_temperature
    expected = lambda_loss(encoded.queries, encoded.documents, pairs.judged, gains, sharpness)
    torch.testing.assert_close(listwise, expected)


def test_a_field_has_a_term_over_the_documents_that_have_it() -> None:
    encoded, pairs = batch()
    kept = [0, 2, 3, 4]
    judged = pairs.judged
    has = judged.documents != 1
    renumbered = torch.tensor([0, -1, 1, 2, 3])[judged.documents[has]]
    known = JudgedPairs(judged.queries[has], renumbered, judged.scores[has], judged.weights[has])
    term = judged_contrastive_loss(encoded.queries, encoded.parts["title"][kept], known, 9.0)
    found = loss_of(target="ranked", direction="both", per_field=0.5)
    alone = loss_of(target="ranked", direction="both")
    torch.testing.assert_close(found, alone + 0.5 * term)


def test_matryoshka_averages_over_dimensions() -> None:
    queries, documents, *_ = batch()[0]
    judged = batch()[1].judged
    terms = [
        judged_contrastive_loss(truncated(queries, d), truncated(documents, d), judged, 9.0)
        for d in (2, 4, 6)
    ]
    found = loss_of(target="ranked", direction="both", matryoshka=[2, 4])
    torch.testing.assert_close(found, torch.stack(terms).mean())


def test_a_batch_whose_documents_have_none_of_the_fields_has_no_field_terms() -> None:
    encoded, pairs = batch()
    bare = encoded._replace(parts={"title": torch.zeros(DOCUMENTS, 6, dtype=torch.float64)})
    with_terms = Objective(LossSection(per_field=0.5), SCALE)(bare, pairs)
    torch.testing.assert_close(with_terms, Objective(LossSection(), SCALE)(bare, pairs))
