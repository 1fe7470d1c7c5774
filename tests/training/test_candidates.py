"""What is on trial beside the losses, and training with both."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from rankfield.curation import split
from rankfield.encoders import RankingModel
from rankfield.schema import Field, RankingDataset
from rankfield.synthetic import sample_shop
from rankfield.training import build_model, parse_recipe, save_negatives, train
from rankfield.training.accelerator import make_accelerator
from rankfield.training.batches import PairBatches
from rankfield.training.negatives import load_negatives
from rankfield.training.objective import Objective
from rankfield.training.optimizer import make_optimizer

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from candidates.agreement import agreement, field_agreement
from candidates.catalogue import catalogue_negatives
from candidates.extras import soft_labels, trained, tree_labels
from candidates.query_weights import QueryWeightedModel, query_weights
from candidates.sharpness import SharpnessAwareStep, sharpness_aware
from candidates.soup import soup
from candidates.trees import PairTrees

sys.path.pop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    folder = tmp_path_factory.mktemp("data") / "shop"
    return split(sample_shop(folder, documents=80, queries=16, per_query=10, images=False))


def recipe(**sections: dict[str, Any]) -> Any:
    small = {"optimizer": {"steps": 2}, "batch": {"size": 8}, "dev": {"every": "off"}}
    return parse_recipe({**small, "trackers": [], "log_every": 1, **sections}, allow_code=True)


def encoded(run: Path) -> list[int]:
    lines = map(json.loads, (run / "log.jsonl").read_text("utf-8").splitlines())
    return [line["documents"] for line in lines if line["event"] == "train"]


def test_the_catalogue_is_drawn_from_what_training_may_see(
    shop: RankingDataset, tmp_path: Path
) -> None:
    found = catalogue_negatives(shop, per_query=5)
    save_negatives(found, tmp_path / "catalogue.parquet")
    # Which refuses held-out ids and judged or repeated pairs.
    frame = load_negatives(tmp_path / "catalogue.parquet", shop)
    assert frame.equals(found.negatives)
    queries = shop.training_judgments()["query_id"].n_unique()
    assert (frame.height, found.queries, found.short) == (5 * queries, queries, 0)
    assert frame["doc_id"].n_unique() > 20
    assert frame.equals(catalogue_negatives(shop, per_query=5).negatives)
    assert not frame.equals(catalogue_negatives(shop, per_query=5, seed=1).negatives)


def test_a_share_of_the_queries_has_the_same_draws_as_all(shop: RankingDataset) -> None:
    every = catalogue_negatives(shop, per_query=5).negatives
    some = catalogue_negatives(shop, per_query=5, share=0.25).negatives
    queries = some["query_id"].unique()
    assert len(queries) == round(0.25 * every["query_id"].n_unique())
    assert some.equals(every.filter(pl.col("query_id").is_in(queries.implode())))
    with pytest.raises(ValueError, match="share"):
        catalogue_negatives(shop, share=0.0)


def test_a_query_that_has_judged_nearly_all_gets_what_is_left(shop: RankingDataset) -> None:
    found = catalogue_negatives(shop, per_query=1000)
    seen = set(shop.training_documents()["doc_id"])
    judged = shop.judgments.group_by("query_id").agg("doc_id")
    for query, documents in judged.iter_rows():
        mine = found.negatives.filter(pl.col("query_id") == query)["doc_id"].to_list()
        assert set(mine) == (seen - set(documents) if mine else set())
    assert found.short == found.queries


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("candidates.spread:SpreadOutLoss", {"weight": 0.1}),
        ("candidates.noise:DocumentNoiseLoss", {"p": 0.1}),
        ("candidates.mixup:DocumentMixupLoss", {"share": 0.5}),
        ("candidates.unjudged:UnjudgedLoss", {"unjudged": 0.5}),
        ("candidates.entmax:EntmaxLoss", {"alpha": 1.5}),
    ],
)
def test_a_recipe_names_a_loss_on_trial(
    shop: RankingDataset, tmp_path: Path, name: str, parameters: dict[str, Any]
) -> None:
    wanted = recipe(loss={"name": name, "parameters": parameters, "per_field": 0.1})
    assert train(wanted, shop, tmp_path / "run").metadata["step"] == 2


def test_training_draws_from_the_catalogue(shop: RankingDataset, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.parquet"
    save_negatives(catalogue_negatives(shop), file)
    train(recipe(), shop, tmp_path / "without")
    train(recipe(negatives={"file": str(file), "per_query": 2}), shop, tmp_path / "with")
    without, more = encoded(tmp_path / "without"), encoded(tmp_path / "with")
    assert all(b > a for a, b in zip(without, more, strict=True))


def weights_of(model: RankingModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in {**one, **other})


def test_a_sharpness_aware_gradient_is_that_at_the_worst_weights_near_by(
    shop: RankingDataset, tmp_path: Path
) -> None:
    wanted = recipe(optimizer={"steps": 2, "clip_norm": 1e9, "learning_rate": 1e-9})
    model, other = build_model(wanted, shop), build_model(wanted, shop)
    batch = PairBatches(wanted, shop, model)[0]
    objective = Objective(wanted.loss, shop.score_scale)

    def gradients() -> list[Tensor]:
        encoded = other(batch.inputs["query"], batch.inputs["document"])
        found = torch.autograd.grad(
            objective(encoded, batch.pairs), list(other.parameters()), allow_unused=True
        )
        return [torch.zeros(1) if g is None else g for g in found]

    first = gradients()
    norm = torch.cat([g.flatten() for g in first]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(other.parameters(), first, strict=True):
            parameter.add_(0.1 * gradient / norm)
    expected = torch.cat([g.flatten() for g in gradients()]).norm()

    start = weights_of(model)
    step = SharpnessAwareStep(
        wanted,
        model.train(),
        make_optimizer(model, wanted.optimizer),
        scale=shop.score_scale,
        accelerator=make_accelerator(wanted, tmp_path),
    )
    step.rho = 0.1
    found = step(0, batch)["gradient_norm"]
    assert found == pytest.approx(float(expected), rel=1e-4)
    assert found != pytest.approx(float(norm), rel=1e-3)
    # The learning rate is next to nothing, so the weights are those before the climb again.
    for name, tensor in weights_of(model).items():
        torch.testing.assert_close(tensor, start[name], rtol=0.0, atol=1e-6)


def test_training_takes_sharpness_aware_steps_while_it_is_told_to(
    shop: RankingDataset, tmp_path: Path
) -> None:
    found = []
    for name, rho in (("plain", None), ("zero", 0.0), ("some", 0.1), ("again", 0.1)):
        if rho is None:
            found.append(weights_of(train(recipe(), shop, tmp_path / name)))
        else:
            with sharpness_aware(rho):
                found.append(weights_of(train(recipe(), shop, tmp_path / name)))
    plain, zero, some, again = found
    assert same(plain, zero)
    assert not same(plain, some)
    assert same(some, again)


def test_a_soup_is_the_mean_of_the_models(shop: RankingDataset, tmp_path: Path) -> None:
    for seed in (0, 1):
        build_model(recipe().model_copy(update={"seed": seed}), shop).save(tmp_path / f"{seed}")
    first, second = (weights_of(RankingModel.load(tmp_path / f"{seed}")) for seed in (0, 1))
    folders = [tmp_path / "0", tmp_path / "1"]
    for shares, share in ((None, 0.5), ([0.25, 0.75], 0.25)):
        mean = soup(folders, shares)
        mean.save(tmp_path / "mean", overwrite=True)
        found = weights_of(RankingModel.load(tmp_path / "mean"))
        assert found.keys() == first.keys()
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, share * first[name] + (1 - share) * second[name])
    assert same(weights_of(soup([folders[0]] * 4)), first)
    assert mean.metadata["soup"] == 2


def test_a_soup_of_different_models_is_refused(shop: RankingDataset, tmp_path: Path) -> None:
    for width in (16, 32):
        sized = recipe(encoder={"dimension": width})
        build_model(sized, shop).save(tmp_path / f"{width}")
    with pytest.raises(ValueError, match="same tensor"):
        soup([tmp_path / "16", tmp_path / "32"])
    for shares in ([0.5], [0.9, 0.9]):
        with pytest.raises(ValueError, match="add up to 1"):
            soup([tmp_path / "16"] * 2, shares)
    with pytest.raises(ValueError, match="expected models"):
        soup([])


def test_a_first_model_grades_what_nobody_judged(shop: RankingDataset, tmp_path: Path) -> None:
    model = train(recipe(), shop, tmp_path / "run")
    found = soft_labels(model, shop, 3)
    columns = shop.training_judgments().select("query_id", "doc_id", "score").rows()
    judged = {(query, document): score for query, document, score in columns}
    vectors = {
        "query": dict(zip(shop.queries["query_id"], model.embed_queries(shop), strict=True)),
        "document": dict(zip(shop.documents["doc_id"], model.embed_documents(shop), strict=True)),
    }
    unseen = set(shop.documents["doc_id"]) - set(shop.training_documents()["doc_id"])

    def cosine(query: str, document: str) -> float:
        return float(np.dot(vectors["query"][query], vectors["document"][document]))

    points = np.array([[cosine(*pair), 1.0] for pair in judged])
    (slope, level), *_ = np.linalg.lstsq(points, np.array(list(judged.values())), rcond=None)
    expected = []
    for query in dict.fromkeys(q for q, _ in judged):
        free = [d for d in vectors["document"] if (query, d) not in judged and d not in unseen]
        best = sorted(free, key=lambda d: -cosine(query, d))[:3]
        expected += [(query, d, slope * cosine(query, d) + level) for d in best]
    scale = shop.score_scale
    rows = sorted(found.rows())
    assert [row[:2] for row in rows] == [row[:2] for row in sorted(expected)]
    grades = np.clip([row[2] for row in sorted(expected)], scale.minimum, scale.maximum)
    np.testing.assert_allclose([row[2] for row in rows], grades, atol=1e-3)


def test_trees_grade_unjudged_training_pairs_alone(shop: RankingDataset) -> None:
    trees = PairTrees(shop)
    grades, scores = trees.grades(), shop.training_judgments()["score"].to_numpy()
    assert grades.shape == (len(trees.queries), len(trees.documents))
    assert np.corrcoef(grades[trees.judged], scores)[0, 1] > 0.3
    assert grades[trees.judged].mean() > grades.mean()
    judged = set(shop.judgments.select("query_id", "doc_id").rows())
    known = set(shop.training_documents()["doc_id"])
    found = tree_labels(shop, 3)
    assert found.group_by("query_id").len()["len"].to_list() == [3] * len(trees.queries)
    for query, document, score in found.rows():
        assert document in known
        assert (query, document) not in judged
        row, column = trees.queries.index_of(query), trees.documents.index_of(document)
        assert score == grades[row, column]


def test_agreement_of_fields_is_its_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    one, other = torch.nn.functional.normalize(drawn, dim=2)
    one, other = one.clone(), other.clone()
    one[1] = other[4] = 0.0
    present, terms = [0, 2, 3], []
    for left, right in ((one, other), (other, one)):
        for i in present:
            logits = [7.0 * float(left[i] @ right[j]) for j in present]
            terms.append(np.log(np.sum(np.exp(logits))) - 7.0 * float(left[i] @ right[i]))
    found = agreement({"title": one, "image": other}, torch.tensor(7.0, dtype=torch.float64))
    assert float(found) == pytest.approx(np.mean(terms))
    assert float(agreement({"title": one}, torch.tensor(7.0))) == 0.0


@pytest.fixture
def two_fields(shop: RankingDataset) -> RankingDataset:
    fields = (Field("title", "text", 0.75), Field("brand", "text", 0.25))
    return replace(shop, document_fields=fields)


def test_fields_that_agree_take_other_steps(two_fields: RankingDataset, tmp_path: Path) -> None:
    plain = weights_of(train(recipe(), two_fields, tmp_path / "plain"))
    for weight in (0.0, 0.5):
        with field_agreement(weight):
            model = train(recipe(), two_fields, tmp_path / str(weight))
        assert same(plain, weights_of(model)) == (weight == 0.0)


@pytest.mark.parametrize("whole", [False, True])
def test_query_weights_are_one_inner_product(
    two_fields: RankingDataset, tmp_path: Path, whole: bool
) -> None:
    with query_weights(whole=whole):
        model = train(recipe(), two_fields, tmp_path / "run")
    assert isinstance(model, QueryWeightedModel)
    assert model.asked.abs().max() > 0
    queries, documents = model.embed_queries(two_fields), model.embed_documents(two_fields)
    plain = RankingModel.load(tmp_path / "run" / "model")
    parts = []
    for name in ("title", "brand"):
        values = two_fields.documents[name].to_list()
        parts.append(plain.encode_documents([{name: value} for value in values]))
    parts += [plain.embed_documents(two_fields)] if whole else []
    asked = plain.embed_queries(two_fields)
    given = np.log([0.75, 0.25, 1.0][: len(parts)])
    logits = given + 10.0 * asked @ model.asked.detach().numpy().T
    weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = sum(w[:, None] * (asked @ p.T) for w, p in zip(weights.T, parts, strict=True))
    expected /= np.linalg.norm(weights, axis=1, keepdims=True) * np.sqrt(len(parts))
    np.testing.assert_allclose(queries @ documents.T, expected, atol=1e-5)


def test_candidates_beside_the_recipe(shop: RankingDataset, tmp_path: Path) -> None:
    def ran(name: str, **candidates: Any) -> tuple[RankingModel, dict[str, Any]]:
        settings = {f"candidate.{key}": value for key, value in candidates.items()}

        def load(own: dict[str, Any]) -> Any:
            sections: dict[str, Any] = {"judgments": own.pop("judgments", [])}
            for key, value in own.items():
                section, _, rest = key.partition(".")
                sections.setdefault(section, {})[rest] = value
            return recipe(**sections)

        model = trained(settings, load, shop, tmp_path / name)
        lines = (tmp_path / name / "run" / "log.jsonl").read_text("utf-8").splitlines()
        return model, next(x for x in map(json.loads, lines) if x["event"] == "train")

    model, log = ran("plain")
    assert same(weights_of(model), weights_of(train(recipe(), shop, tmp_path / "own")))
    assert ran("catalogue", catalogue=1.0)[1]["documents"] > log["documents"]
    assert ran("soft_labels", soft_labels=0.5)[1]["pairs"] > log["pairs"]
    assert ran("trees", trees=0.5)[1]["pairs"] > log["pairs"]
    assert not same(weights_of(model), weights_of(ran("sharp", sharpness=0.1)[0]))
    asked, _ = ran("query_weights", query_weights={"whole": True})
    assert isinstance(asked, QueryWeightedModel)
    assert asked.whole
