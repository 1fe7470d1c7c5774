from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader

from rankfield.encoders import ComposedEncoder, TransformersTextTower
from rankfield.errors import DataError, RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe
from rankfield.training.augment import flip_and_shift
from rankfield.training.batches import PairBatches, TrainingBatch
from rankfield.training.field_dropout import drop_fields
from rankfield.training.packed import tensors
from rankfield.training.pairs import TrainingPairs
from rankfield.weighting import score_weights
from trained import assert_above
from training_data import tiny_shop

SIZE = 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def recipe(*, batch: dict[str, Any] | None = None, **data: Any) -> Recipe:
    return parse_recipe(
        {
            "seed": data.pop("seed", 0),
            "negatives": data.pop("negatives", {}),
            "data": data,
            "encoder": {"text_width": 32, "text_layers": 1, "image_size": 24, "image_width": 32},
            "loss": {"weight": "exponential"},
            "batch": {"size": SIZE, "choice": "stratified", "more_queries": 0} | (batch or {}),
        }
    )


def batches(shop: RankingDataset, wanted: Recipe, **share: int) -> PairBatches:
    return PairBatches(wanted, shop, build_model(wanted, shop), **share)


def pairs_of(batch: TrainingBatch) -> list[tuple[int, int, float]]:
    """The sampled pairs of a batch of one process, as rows of the tables."""
    sampled = batch.pairs.sampled
    queries = batch.query_rows[sampled.queries.numpy()]
    documents = batch.document_rows[sampled.documents.numpy()]
    rows = zip(queries, documents, sampled.weights.tolist(), strict=True)
    return [(int(q), int(d), w) for q, d, w in rows]


def test_each_epoch_takes_every_pair_at_most_once(shop: RankingDataset) -> None:
    made = batches(shop, recipe())
    total = len(shop.training_judgments())
    steps = total // SIZE
    assert steps >= 3
    assert total % SIZE, "some pairs must be left over for this test to mean anything"
    epochs = []
    for epoch in range(3):
        taken = np.concatenate([made.indices(epoch * steps + step) for step in range(steps)])
        assert len(taken) == steps * SIZE
        assert len(np.unique(taken)) == len(taken)
        assert taken.min() >= 0
        assert taken.max() < total
        epochs.append(taken)
    assert not np.array_equal(epochs[0], epochs[1])
    left_out = [set(range(total)) - set(taken.tolist()) for taken in epochs]
    assert left_out[0] != left_out[1]


def test_a_batch_is_a_function_of_seed_and_step(shop: RankingDataset) -> None:
    one, same, other = (batches(shop, recipe(seed=seed)) for seed in (5, 5, 6))
    steps = [0, 40, 3, 40, 1, 0]
    for step in steps:
        assert pairs_of(one[step]) == pairs_of(same[step])
        assert pairs_of(one[step]) == pairs_of(batches(shop, recipe(seed=5))[step])
    assert pairs_of(one[0]) != pairs_of(other[0])
    assert pairs_of(one[0]) != pairs_of(one[1])


@pytest.mark.parametrize("processes", [2, 3, 5, 40])
def test_the_shares_of_processes_make_up_the_global_batch(
    shop: RankingDataset, processes: int
) -> None:
    whole = batches(shop, recipe())
    shares = [batches(shop, recipe(), rank=rank, processes=processes) for rank in range(processes)]
    for step in (0, 7):
        batch, parts = whole[step], [share[step] for share in shares]
        for name in ("query_rows", "document_rows"):
            rows = [getattr(part, name) for part in parts]
            total = getattr(batch, name)
            assert {len(row) for row in rows} == {-(-len(total) // processes)}
            interleaved = np.stack(rows, axis=1).reshape(-1)
            assert np.array_equal(interleaved[: len(total)], total)
        for part in parts:
            assert (part.queries, part.documents) == (batch.queries, batch.documents)
            for kind in ("sampled", "judged"):
                one, other = getattr(part.pairs, kind), getattr(batch.pairs, kind)
                assert all(
                    torch.equal(a, b)
                    for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
                )


def test_a_batch_knows_every_judgment_between_its_records(shop: RankingDataset) -> None:
    made = batches(shop, recipe())
    known = {
        (shop.queries["query_id"].index_of(row["query_id"]), row["doc_id"]): row["score"]
        for row in judged(shop)
    }
    for step in range(5):
        batch = made[step]
        found = batch.pairs.judged
        listed = {
            (int(batch.query_rows[q]), shop.documents["doc_id"][int(batch.document_rows[d])]): s
            for q, d, s in zip(
                found.queries.tolist(),
                found.documents.tolist(),
                found.scores.tolist(),
                strict=True,
            )
        }
        ids = shop.documents["doc_id"].gather(batch.document_rows).to_list()
        expected = {
            (int(q), d): known[int(q), d]
            for q in batch.query_rows
            for d in ids
            if (int(q), d) in known
        }
        assert listed == expected
        assert len(found) == len(listed) >= SIZE


def test_further_queries_judge_the_documents_in_hand(shop: RankingDataset) -> None:
    plain, more = batches(shop, recipe()), batches(shop, recipe(batch={"more_queries": 5}))
    for step in (0, 3):
        one, other = plain[step], more[step]
        assert np.array_equal(one.document_rows, other.document_rows)
        added = np.setdiff1d(other.query_rows, one.query_rows)
        assert 1 <= len(added) <= 5
        assert len(other.query_rows) == len(one.query_rows) + len(added) == other.queries
        counts = np.bincount(other.pairs.judged.queries.numpy(), minlength=other.queries)
        assert (counts[np.isin(other.query_rows, added)] >= 2).all()
        assert np.array_equal(other.query_rows, more[step].query_rows)


@pytest.mark.trained
def test_similar_queries_stand_together(shop: RankingDataset) -> None:
    wanted = recipe(batch={"documents_per_query": 5, "similar_queries": 4})
    made, same = batches(shop, wanted), batches(shop, wanted)
    assert np.array_equal(made.indices(3), same.indices(3))
    distances = []
    for grouped in (made, batches(shop, recipe(batch={"documents_per_query": 5}))):
        model = build_model(wanted, shop)
        vectors = model.embed_queries(shop)
        apart = []
        for step in range(20):
            rows = np.unique(grouped.pairs.query_rows[grouped.indices(step)])
            apart.append(np.mean(vectors[rows] @ vectors[rows].T))
        distances.append(np.mean(apart))
    # an untrained model finds all texts alike
    assert_above("similar queries", distances[0] - distances[1], 0.002)


def test_hard_negatives_join_the_documents(shop: RankingDataset) -> None:
    training = shop.training_judgments()
    known = training.select("query_id", "doc_id")
    everything = (
        known.select("query_id").unique().join(known.select("doc_id").unique(), how="cross")
    )
    free = everything.join(known, on=["query_id", "doc_id"], how="anti").sort(pl.all())
    wanted = recipe(negatives={"file": "given below", "per_query": 2})
    plain, made = batches(shop, wanted), batches(shop, wanted)
    made.use_negatives(free)
    pairs = set(free.rows())
    for step in (0, 5):
        one, other = plain[step], made[step]
        assert np.array_equal(one.query_rows, other.query_rows)
        added = np.setdiff1d(other.document_rows, one.document_rows)
        assert 1 <= len(added) <= 2 * other.queries
        queries = shop.queries["query_id"].gather(other.query_rows).to_list()
        for document in shop.documents["doc_id"].gather(added).to_list():
            assert any((query, document) in pairs for query in queries)
        assert np.array_equal(other.document_rows, made[step].document_rows)
        assert set(np.unique(other.pairs.sampled.documents.numpy())) <= set(range(other.documents))
    # A negative that is judged by now is none.
    made.use_negatives(known)
    assert np.array_equal(plain[0].document_rows, made[0].document_rows)


def test_pairs_carry_the_weights_of_their_scores(shop: RankingDataset) -> None:
    made = batches(shop, recipe())
    ids = {(row["query_id"], row["doc_id"]): row["score"] for row in judged(shop)}
    for query, document, weight in pairs_of(made[2]):
        score = ids[shop.queries["query_id"][query], shop.documents["doc_id"][document]]
        expected = score_weights(np.array([score]), shop.score_scale, "exponential")
        assert weight == pytest.approx(expected[0])


def judged(shop: RankingDataset) -> list[dict[str, Any]]:
    return shop.training_judgments().to_dicts()


def test_only_training_pairs_and_only_above_the_minimum_score(shop: RankingDataset) -> None:
    assert shop.training_judgments()["score"].min() == 2.0
    pairs = TrainingPairs.of(recipe(minimum_score=2.5), shop)
    expected = shop.judgments.filter(pl.col("split") == "in_domain", pl.col("score") >= 2.5)
    found = {
        (shop.queries["query_id"][int(q)], shop.documents["doc_id"][int(d)])
        for q, d in zip(pairs.query_rows, pairs.document_rows, strict=True)
    }
    assert found == set(expected.select("query_id", "doc_id").iter_rows())
    assert len(pairs) == len(expected)
    with pytest.raises(RecipeError, match="a batch takes 20 pairs; 0 can be trained on"):
        TrainingPairs.of(recipe(minimum_score=9.0), shop)


def pixels_of(batch: TrainingBatch) -> torch.Tensor:
    return batch.inputs["document"].inputs["image"].items["pixels"]


def same_tensors(one: TrainingBatch, other: TrainingBatch) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def test_images_are_the_same_with_and_without_a_cache(shop: RankingDataset) -> None:
    kept, read = (
        batches(shop, recipe()),
        batches(shop, recipe(image_cache_mib=0, image_disk_cache_mib=0)),
    )
    assert kept.images.kept
    assert not read.images.kept
    transform = kept.model.encoder.image_transform
    assert transform is not None
    for step in (0, 3):
        one, other = kept[step], read[step]
        assert list(one.inputs["query"].inputs) == ["query"]
        assert set(one.inputs["document"].inputs) == {"image", "title"}
        pixels = pixels_of(one)
        assert pixels.dtype == torch.uint8
        assert same_tensors(one, other)
        present = [
            value
            for row in np.unique(one.document_rows)
            if (value := shop.documents["image"][int(row)])
        ]
        assert len(pixels) == len(set(present))
        column = next(c for c in kept.columns["document"] if c.field.name == "image")
        codes = column.codes_of(one.document_rows)
        for image, code in zip(pixels, codes, strict=True):
            expected = kept.model.read_pixels([column.values[code]], shop.image_source)[0]
            assert torch.equal(image, expected)


@pytest.mark.parametrize("cache", [0, 64])
def test_workers_read_the_same_batches(shop: RankingDataset, cache: int) -> None:
    made = batches(
        shop, recipe(image_cache_mib=cache, image_disk_cache_mib=0, augment=True, field_dropout=0.3)
    )
    loader = DataLoader(made, batch_size=None, sampler=range(2, 8), num_workers=2)
    for step, batch in enumerate(loader, 2):
        assert pairs_of(batch) == pairs_of(made[step])
        assert same_tensors(batch, made[step])


def test_a_batch_is_finished(shop: RankingDataset) -> None:
    plain = batches(shop, recipe())
    made = batches(shop, recipe(augment=True, field_dropout=0.3))
    before = torch.get_rng_state()
    batch = made[3]
    assert torch.equal(torch.get_rng_state(), before)
    # the images of all rows are augmented, then fields are dropped, queries first
    torch.manual_seed(batch.seed)
    drawn = torch.default_generator
    queries = drop_fields(plain[3].inputs["query"], 0.3, generator=drawn)
    documents = plain[3].inputs["document"]
    image = documents.inputs["image"]
    pixels = flip_and_shift(image.items["pixels"], generator=drawn)
    changed = dict(documents.inputs) | {"image": replace(image, items={"pixels": pixels})}
    documents = drop_fields(replace(documents, inputs=changed), 0.3, generator=drawn)
    for one, other in ((queries, batch.inputs["query"]), (documents, batch.inputs["document"])):
        assert list(one.inputs) == list(other.inputs)
        pairs = zip(tensors(one), tensors(other), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert len(pixels_of(batch)) < len(pixels)
    assert torch.equal(batch.random_state, torch.get_rng_state()), "the step goes on from there"
    seeds = {made[step].seed for step in range(4)} | {
        batches(shop, recipe(), rank=1, processes=2)[0].seed
    }
    assert len(seeds) == 5


def test_texts_are_those_that_training_meets(shop: RankingDataset) -> None:
    made = batches(shop, recipe())
    training = shop.training_judgments()
    queries = shop.queries.join(training, on="query_id", how="semi")["query"]
    titles = shop.documents.join(training, on="doc_id", how="semi")["title"].drop_nulls()
    assert sorted(made.texts("query")) == sorted(set(queries))
    assert sorted(made.texts("document")) == sorted(set(titles))
    assert len(list(made.texts("document"))) < shop.documents["title"].n_unique() - 1


def test_data_that_does_not_hold_together(shop: RankingDataset) -> None:
    with pytest.raises(DataError, match="judgments name ids that column 'doc_id' lacks"):
        TrainingPairs.of(recipe(), shop.with_tables(documents=shop.documents.head(3)))
    twice = pl.concat([shop.queries, shop.queries.head(1)])
    with pytest.raises(DataError, match="column 'query_id' has the same id twice"):
        TrainingPairs.of(recipe(), shop.with_tables(queries=twice))
    bare = shop.with_tables(queries=shop.queries.with_columns(query=pl.lit("")))
    model = build_model(recipe(), shop)
    with pytest.raises(RecipeError, match="no query to train on has any of the fields query"):
        PairBatches(recipe(), bare, model)


def test_towers_are_built_for_the_fields_that_are_there(shop: RankingDataset) -> None:
    text = build_model(recipe(document_weights={"title": 1.0}), shop)
    assert text.encoder.modalities == {"text"}
    wanted = parse_recipe({"encoder": {"kind": "composed", "freeze": ["vision"], "image_size": 16}})
    both = build_model(wanted, shop)
    assert both.encoder.modalities == {"text", "image"}
    vision = [p for name, p in both.named_parameters() if "vision." in name]
    assert vision
    assert not any(p.requires_grad for p in vision)
    states = [build_model(recipe(seed=seed), shop).state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    assert any(not torch.equal(v, states[2][k]) for k, v in states[0].items())


def test_the_tokenizer_knows_no_held_out_text(shop: RankingDataset, tmp_path: Path) -> None:
    training = shop.training_judgments()
    held_out = shop.queries.join(training, on="query_id", how="anti")["query_id"]
    assert len(held_out)
    changed = shop.queries.with_columns(
        query=pl.when(pl.col("query_id").is_in(held_out.implode()))
        .then(pl.lit("zebra"))
        .otherwise("query")
    )
    vocabularies = []
    for data in (shop, shop.with_tables(queries=changed)):
        encoder = build_model(recipe(), data).encoder
        assert isinstance(encoder, ComposedEncoder)
        assert isinstance(encoder.text, TransformersTextTower)
        vocabularies.append(encoder.text.tokenizer.get_vocab())
    assert vocabularies[0] == vocabularies[1]


def graded(shop: RankingDataset) -> RankingDataset:
    """The shop with a third of the judgments at the score 0, which says that they are worthless."""
    rows = np.arange(shop.judgments.height) % 3 == 0
    score = pl.when(pl.Series(rows)).then(0.0).otherwise(pl.col("score"))
    return shop.with_tables(judgments=shop.judgments.with_columns(score=score))


def worthless_of(made: PairBatches) -> set[tuple[int, int]]:
    zero = made.pairs.weights == 0
    rows = zip(made.pairs.query_rows[zero], made.pairs.document_rows[zero], strict=True)
    return {(int(q), int(d)) for q, d in rows}


@pytest.mark.parametrize("count", [1, 2])
def test_documents_judged_worthless_come_with_every_query(shop: RankingDataset, count: int) -> None:
    data = graded(shop)
    few = recipe(batch={"size": 6, "documents_per_query": 2, "choice": "balanced"})
    few = few.model_copy(update={"loss": few.loss.model_copy(update={"weight": "discount"})})
    wanted = few.model_copy(
        update={"negatives": few.negatives.model_copy(update={"judged": count})}
    )
    plain, made, again = batches(data, few), batches(data, wanted), batches(data, wanted)
    worthless = worthless_of(made)
    assert worthless
    met = {"plain": 0, "made": 0}
    for step in range(12):
        chosen, queries, documents = made.rows(step)
        before, _, alone = plain.rows(step)
        assert np.array_equal(chosen, before)
        assert np.isin(alone, documents).all()
        assert len(documents) <= len(alone) + count * len(queries)
        assert np.array_equal(again.rows(step)[2], documents)
        for query in queries.tolist():
            have = sum(q == query for q, _ in worthless)
            found = sum((query, d) in worthless for d in documents.tolist())
            assert found >= min(count, have)
            met["made"] += found
            met["plain"] += sum((query, d) in worthless for d in alone.tolist())
        judged = made[step].pairs.judged
        assert int((judged.weights == 0).sum()) == sum(
            (q, d) in worthless for q in queries.tolist() for d in documents.tolist()
        )
    assert met["made"] > met["plain"]


def test_where_nothing_is_judged_worthless_batches_stay_as_they_are(shop: RankingDataset) -> None:
    one, other = (batches(shop, recipe(negatives={"judged": n})) for n in (0, 3))
    assert all(np.array_equal(a, b) for a, b in zip(one.rows(2), other.rows(2), strict=True))
    with pytest.raises(RecipeError, match="that know the judgments"):
        parse_recipe({"loss": {"target": "pair"}, "negatives": {"judged": 1}})
