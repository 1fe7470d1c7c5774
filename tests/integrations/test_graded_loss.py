"""Losses of sentence-transformers' trainer: the table's values on the batch's distinct texts."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rankfield.errors import DataError, RecipeError
from rankfield.integrations.sentence_transformers import GCLLoss, GradedLoss, RankedLoss
from rankfield.integrations.sentence_transformers.batch_judgments import batch_judgments
from rankfield.integrations.sentence_transformers.batch_records import column_records
from rankfield.losses import LOSSES, JudgedPairs, make_loss
from tiny_sentence_transformer import tiny_sentence_transformer

Row = tuple[str, str, float]

ROWS: list[Row] = [
    ("red", "large red ball", 3.0),
    ("red", "red box", 1.0),
    ("blue gift", "blue mug", 2.0),
    ("red", "blue mug", 0.0),
    ("lamp", "large red ball", 1.0),
    ("blue gift", "cheap blue box", 2.0),
]

WEIGHTS = {"constant": [1.0] * 6, "linear": [score for _, _, score in ROWS]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_sentence_transformer(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = tiny_sentence_transformer(tmp_path_factory.mktemp("dropping"), dropout=0.3)
    return made.train()


def columns(model: Any, rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [model.preprocess([row[side] for row in rows]) for side in (0, 1)]


def labels(rows: Sequence[Row]) -> Tensor:
    return torch.tensor([score for _, _, score in rows])


def value_and_gradients(model: Any, loss: nn.Module, rows: Sequence[Row]) -> list[Tensor]:
    model.zero_grad()
    value = loss(columns(model, rows), labels(rows))
    value.backward()
    return [value.detach(), *(x.grad.clone() for x in model.parameters() if x.grad is not None)]


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    assert len(found) == len(expected) > 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def by_text(
    model: Any, name: str, rows: Sequence[Row], weights: Sequence[float], **settings: Any
) -> Tensor:
    """Return a loss of the table over embeddings of the texts, each known by its spelling."""
    queries, documents = (list(dict.fromkeys(row[side] for row in rows)) for side in (0, 1))
    units = [
        F.normalize(model(model.preprocess(texts))["sentence_embedding"], dim=-1)
        for texts in (queries, documents)
    ]
    pairs = JudgedPairs(
        torch.tensor([queries.index(query) for query, _, _ in rows]),
        torch.tensor([documents.index(document) for _, document, _ in rows]),
        labels(rows),
        torch.tensor(weights),
    )
    best = max(score for _, _, score in rows)
    loss = make_loss(name, {"gain": lambda scores: scores.clip(min=0.0) / best}, settings)
    bias = [-10.0] if loss.takes_bias else []
    value: Tensor = loss(*units, pairs, 20.0, *bias)
    return value


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_loss_of_the_table_is_that_of_the_distinct_texts(
    name: str, weight: str, model: Any
) -> None:
    expected = by_text(model, name, ROWS, WEIGHTS[weight])
    found = GradedLoss(model, name, weight=weight)(columns(model, ROWS), labels(ROWS))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("target", ["mask", "soft", "ranked"])
def test_parameters_reach_the_loss(target: str, model: Any) -> None:
    settings = {"target": target, "direction": "both", "reduction": "sum"}
    expected = by_text(model, "judged_contrastive", ROWS, WEIGHTS["constant"], **settings)
    loss = RankedLoss(model, weight="constant", **settings)
    torch.testing.assert_close(loss(columns(model, ROWS), labels(ROWS)), expected)


def test_the_order_of_rows_does_not_matter(model: Any) -> None:
    loss = RankedLoss(model)
    found = [loss(columns(model, rows), labels(rows)) for rows in (ROWS, ROWS[::-1])]
    torch.testing.assert_close(*found)


def test_a_document_that_another_row_judges_is_no_negative(model: Any) -> None:
    both = ROWS[:2]
    loss = GradedLoss(model, "judged_contrastive", target="mask")
    assert loss(columns(model, both), labels(both)).item() == 0.0
    assert loss(columns(model, ROWS[1:3]), labels(ROWS[1:3])).item() > 0.01


def test_distinct_texts_are_encoded_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, usual = [], model.forward

    def forward(features: dict[str, Any]) -> Any:
        encoded.append(len(features["input_ids"]))
        return usual(features)

    monkeypatch.setattr(model, "forward", forward)
    RankedLoss(model)(columns(model, ROWS), labels(ROWS))
    assert encoded == [3, 4]


def test_a_repeated_pair_counts_once_with_its_mean_score(model: Any) -> None:
    repeated = [*ROWS[:3], ("red", "large red ball", 1.0)]
    merged = [("red", "large red ball", 2.0), *ROWS[1:3]]
    for loss in (
        RankedLoss(model),
        GradedLoss(model, weight="linear"),
        GradedLoss(model, "lambda"),
    ):
        found = loss(columns(model, repeated), labels(repeated))
        torch.testing.assert_close(found, loss(columns(model, merged), labels(merged)))
    loss = GCLLoss(model)
    expected = by_text(model, "contrastive", repeated, [3.0, 1.0, 2.0, 1.0])
    torch.testing.assert_close(loss(columns(model, repeated), labels(repeated)), expected)


def test_discount_weights_look_at_the_querys_documents_in_the_batch(model: Any) -> None:
    weights = [1.0, 1 / math.log2(3), 1.0, 0.0, 1.0, 1.0]
    expected = by_text(
        model, "judged_contrastive", ROWS, weights, direction="query_to_document", target="ranked"
    )
    found = RankedLoss(model)(columns(model, ROWS), labels(ROWS))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_labels_may_bring_their_weights(model: Any) -> None:
    weights = [0.1, 0.7, 0.2, 0.0, 0.5, 0.9]
    both = torch.stack([labels(ROWS), torch.tensor(weights)], dim=1)
    for name in ("judged_contrastive", "contrastive", "listnet"):
        expected = by_text(model, name, ROWS, weights)
        found = GradedLoss(model, name, weight="linear")(columns(model, ROWS), both)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_batch_without_anything_good_has_a_loss_of_0(model: Any) -> None:
    rows = [("red", "blue mug", 0.0), ("lamp", "red box", -1.0)]
    for loss in (RankedLoss(model), GCLLoss(model), RankedLoss(model, score_scale=(0.0, 2.0))):
        if loss.weights.scale is not None:
            rows = rows[:1]
        found = value_and_gradients(model, loss, rows)
        assert all(not part.any() for part in found)


def test_weights_on_a_stated_scale(model: Any) -> None:
    weights = [math.exp((score - 4.0) / 0.8) for _, _, score in ROWS]
    expected = by_text(model, "contrastive", ROWS, weights)
    loss = GCLLoss(model, weight="exponential", score_scale=(0.0, 4.0))
    torch.testing.assert_close(loss(columns(model, ROWS), labels(ROWS)), expected)
    with pytest.raises(RecipeError, match=r"score 3\.0 lies outside the stated scale"):
        GCLLoss(model, score_scale=(0.0, 2.0))(columns(model, ROWS), labels(ROWS))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_mini_batches_have_the_same_gradients(name: str, size: int, model: Any) -> None:
    expected = value_and_gradients(model, GradedLoss(model, name), ROWS)
    cached = GradedLoss(model, name, mini_batch_size=size)
    assert_same(value_and_gradients(model, cached, ROWS), expected, 2e-5)
    with torch.no_grad():
        torch.testing.assert_close(cached(columns(model, ROWS), labels(ROWS)), expected[0])


def test_mini_batches_repeat_their_dropout(dropping: Any) -> None:
    torch.manual_seed(3)
    plain = value_and_gradients(dropping, RankedLoss(dropping), ROWS)
    torch.manual_seed(3)
    cached = RankedLoss(dropping, mini_batch_size=100)
    assert_same(value_and_gradients(dropping, cached, ROWS), plain, 1e-5)
    cached.mini_batch_size = 2
    torch.manual_seed(4)
    found = value_and_gradients(dropping, cached, ROWS)
    torch.manual_seed(4)
    dropping.zero_grad()
    value = in_one_graph(dropping, cached, ROWS)
    value.backward()  # type: ignore[no-untyped-call]
    gradients = [x.grad for x in dropping.parameters() if x.grad is not None]
    assert_same(found, [value.detach(), *gradients], 1e-5)


def in_one_graph(model: Any, loss: GradedLoss, rows: Sequence[Row]) -> Tensor:
    """Return the loss over mini-batches whose activations are all kept."""
    queries, documents = (column_records(column, len(rows)) for column in columns(model, rows))
    embed: Any = loss.embed_minibatch_iter
    embeddings = [
        [part for part, _ in embed(side.features, True, False)] for side in (queries, documents)
    ]
    return loss.calculate_loss(embeddings, batch_judgments(queries, documents, labels(rows)))


def test_a_learnt_scale_gets_a_gradient(model: Any) -> None:
    for name in ("judged_contrastive", "sigmoid", "lambda"):
        loss = GradedLoss(model, name, learn_scale=True)
        expected = GradedLoss(model, name)(columns(model, ROWS), labels(ROWS))
        found = loss(columns(model, ROWS), labels(ROWS))
        torch.testing.assert_close(found, expected)
        found.backward()
        own = [x for x in loss.criterion.parameters() if x.requires_grad]
        assert len(own) == (2 if name == "sigmoid" else 1)
        assert all(x.grad is not None and float(x.grad) != 0 for x in own)


def matryoshka_of(model: Any, make: Callable[[], nn.Module]) -> nn.Module:
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    made: nn.Module = MatryoshkaLoss(model, make(), [16, 4], [1.0, 0.5])
    return made


def test_the_matryoshka_loss_of_sentence_transformers_wraps_it(model: Any) -> None:
    plain = matryoshka_of(model, lambda: RankedLoss(model))
    cached = matryoshka_of(model, lambda: RankedLoss(model, mini_batch_size=2))
    expected = value_and_gradients(model, plain, ROWS)
    assert_same(value_and_gradients(model, cached, ROWS), expected, 2e-5)
    assert expected[0] > value_and_gradients(model, RankedLoss(model), ROWS)[0]


def test_embeddings_in_half_precision_are_computed_in_float32(model: Any) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = RankedLoss(model)(columns(model, ROWS), labels(ROWS))
    assert found.dtype == torch.float32
    expected = RankedLoss(model)(columns(model, ROWS), labels(ROWS))
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_what_is_refused(model: Any) -> None:
    loss, batch = RankedLoss(model), columns(model, ROWS)
    with pytest.raises(DataError, match="one of documents and one of scores, found 3 columns"):
        loss([*batch, batch[1]], labels(ROWS))
    with pytest.raises(DataError, match="found no labels"):
        loss(batch, None)
    with pytest.raises(DataError, match="expected finite scores"):
        loss(batch, labels(ROWS) / 0.0)
    with pytest.raises(DataError, match="weights of at least 0"):
        loss(batch, torch.stack([labels(ROWS), labels(ROWS) - 1], dim=1))
    with pytest.raises(DataError, match=r"found \(6, 3\)"):
        loss(batch, torch.zeros(6, 3))
    with pytest.raises(ValueError, match=r"unknown loss 'lamda'.*Did you mean 'lambda'"):
        GradedLoss(model, "lamda")
    with pytest.raises(ValueError, match="'listnet' has no parameter 'target'"):
        GradedLoss(model, "listnet", target="mask")
    with pytest.raises(ValueError, match="needs the scores' scale"):
        RankedLoss(model, weight="inverse")
    with pytest.raises(ValueError, match="mini_batch_size=0: expected at least 1"):
        RankedLoss(model, mini_batch_size=0)
    with pytest.raises(ValueError, match="mini_batch_size=4: expected no learn_scale"):
        RankedLoss(model, mini_batch_size=4, learn_scale=True)
    with pytest.raises(ValueError, match="expected a scale above 0"):
        RankedLoss(model, scale=0.0)


def test_without_sentence_transformers_one_line_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "import rankfield.integrations.sentence_transformers as drop_in\n"
        "from rankfield.errors import MissingExtraError\n"
        "for name in drop_in.__all__:\n"
        "    try:\n"
        "        getattr(drop_in, name)\n"
        "    except MissingExtraError as error:\n"
        "        assert 'rankfield[sentence-transformers]' in str(error)\n"
        "        assert '\\n' not in str(error)\n"
        "        print(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"RankedLoss", "GCLLoss", "GradedLoss"} <= set(done.stdout.split())
