from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.stats

from rankfield.errors import DataError, InputError, MissingExtraError
from rankfield.evaluation import (
    BagOfWords,
    EvaluationOptions,
    Oracle,
    RandomOrder,
    baseline,
    compare,
    evaluate,
)
from rankfield.schema import Field, RankingDataset, ScoreScale
from ranking_shop import FakeModel, ranking_shop

DEEP = EvaluationOptions(keep=1000)


def test_bag_of_words_finds_shared_words() -> None:
    dataset = ranking_shop()
    words, chance = evaluate(BagOfWords(), dataset), evaluate(FakeModel(noise=50.0), dataset)
    for split in words.splits:
        found, guessed = words.splits[split]["nDCG@10"].value, chance.splits[split]["nDCG@10"].value
        assert found is not None
        assert guessed is not None
        assert found > guessed
    assert compare([chance, words]).names == ("fake", "bm25")


def tiny(titles: list[str], query: str) -> RankingDataset:
    return RankingDataset(
        name="tiny",
        query_fields=(Field("text", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q"], "text": [query]}),
        documents=pl.DataFrame({"doc_id": [f"d{i}" for i in range(len(titles))], "title": titles}),
        judgments=pl.DataFrame({"query_id": ["q"], "doc_id": ["d0"], "score": [1.0]}),
    )


def test_bm25_by_hand() -> None:
    titles = ["Red mug!", "a red lamp and a red rug", "blue sofa", ""]
    found = evaluate(BagOfWords(), tiny(titles, "RED mug")).rankings
    # The third and fourth share no word with the query and are not retrieved.
    assert found["doc_id"].to_list() == ["d0", "d1"]
    mean_length = (2 + 7 + 2 + 0) / 4

    def part(count: int, length: int, documents: int) -> float:
        idf = math.log(1 + (4 - documents + 0.5) / (documents + 0.5))
        return idf * count / (count + 1.5 * (1 - 0.75 + 0.75 * length / mean_length))

    expected = [part(1, 2, 2) + part(1, 2, 1), part(2, 7, 2)]
    assert found["similarity"].to_list() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("titles", "query"), [(["", ""], "mug"), (["mug"], ""), (["mug"], "lamp")])
def test_nothing_to_find(titles: list[str], query: str) -> None:
    results = evaluate(BagOfWords(), tiny(titles, query))
    assert results.rankings.height == 0
    assert results.splits["all"]["RR@10"].value == 0


def test_needs_text() -> None:
    dataset = ranking_shop()
    pictures = RankingDataset(
        name="pictures",
        query_fields=dataset.query_fields,
        document_fields=(Field("title", "image"),),
        score_scale=dataset.score_scale,
        queries=dataset.queries,
        documents=dataset.documents,
        judgments=dataset.judgments,
    )
    with pytest.raises(DataError, match="BM25 needs a text field"):
        evaluate(BagOfWords(), pictures)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtraError, match=r"rankfield\[baselines\]"):
        BagOfWords()


def test_random_order_knows_nothing_and_repeats() -> None:
    dataset = ranking_shop()
    results = evaluate(baseline("random"), dataset, DEEP)
    assert results.metadata["seed"] == 0
    assert results.rankings.equals(evaluate(baseline("random"), dataset, DEEP).rankings)
    other = evaluate(baseline("random", seed=1), dataset, DEEP).rankings
    assert not other.equals(results.rankings)
    for (split,), part in results.rankings.group_by("split"):
        documents = set(dataset.view(str(split), "test").documents["doc_id"])
        orders = [group["doc_id"].to_list() for _, group in part.group_by("query_id")]
        assert all(set(order) == documents for order in orders)
        assert len({tuple(order) for order in orders}) == len(orders)
    assert all(size.tied_queries == 0 for size in results.sizes.values())


def test_random_order_favours_no_document() -> None:
    dataset, five = ranking_shop(split=False), EvaluationOptions(k=5)
    view = dataset.view("all")
    draws = [RandomOrder(seed).searcher(dataset, five)(view) for seed in range(200)]
    first = np.concatenate([hits.indices.ravel() for hits in draws])
    counts = np.bincount(first, minlength=80)
    # 20 queries × 5 × 200 draws over 80 documents: 250 each, with a deviation of about 16.
    assert counts.sum() == 20_000
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_popularity_orders_by_training_gains() -> None:
    dataset = ranking_shop()
    popularity = dict.fromkeys(dataset.documents["doc_id"], 0.0)
    for row in dataset.training_judgments().iter_rows(named=True):
        popularity[row["doc_id"]] += row["score"]
    results = evaluate(baseline("popularity"), dataset, DEEP)
    for (split,), part in results.rankings.group_by("split", maintain_order=True):
        documents = dataset.view(str(split), "test").documents["doc_id"].to_list()
        expected = sorted(documents, key=lambda d: -popularity[d])
        for _, group in part.group_by("query_id"):
            assert group["doc_id"].to_list() == expected
    # Training judged no unseen document: nothing tells them apart.
    assert results.sizes["zero_shot"].tied_queries == results.sizes["zero_shot"].queries


def test_popularity_of_unseen_documents_by_a_column() -> None:
    dataset = ranking_shop()
    reviews = pl.when(pl.int_range(pl.len()) % 5 > 0).then(pl.int_range(pl.len()) * 37 % 83)
    dataset = dataset.with_tables(documents=dataset.documents.with_columns(reviews=reviews))
    results = evaluate(baseline("popularity", popularity_column="reviews"), dataset, DEEP)
    ordered = (
        dataset.view("zero_shot", "test")
        .documents.with_row_index()
        .sort("reviews", "index", descending=[True, False], nulls_last=True)
    )
    for _, group in results.rankings.filter(split="zero_shot").group_by("query_id"):
        assert group["doc_id"].to_list() == ordered["doc_id"].to_list()
        assert group["similarity"].n_unique() == ordered["reviews"].n_unique()
    for column in ("title", "sales"):
        with pytest.raises(DataError, match=rf"column of numbers, found '{column}'.*reviews"):
            evaluate(baseline("popularity", popularity_column=column), dataset)


def test_nothing_is_better_than_the_oracle() -> None:
    dataset = ranking_shop()
    oracle = evaluate(baseline("oracle"), dataset)
    for split, means in oracle.splits.items():
        for name in ("nDCG@10", "nDCG(gain=exp)@10", "mAP@1000", "Judged@10"):
            assert means[name].value == pytest.approx(1)
        for noise in (0.0, 0.5, 2.0):
            model = evaluate(FakeModel(noise=noise), dataset).splits[split]
            for name, mean in means.items():
                assert (model[name].value or 0) <= (mean.value or 0) + 1e-12, name
    # An unjudged document is not retrieved, a short list is cut at k.
    assert oracle.rankings["judged_score"].null_count() == 0
    short = evaluate(baseline("oracle"), dataset, EvaluationOptions(k=2, keep=1000)).rankings
    assert short["rank"].max() == 2


def test_the_oracle_finds_what_the_corpus_has() -> None:
    dataset = tiny(["mug", "lamp"], "mug")
    view = dataset.view("all")
    search = Oracle().searcher(dataset, EvaluationOptions())
    nothing = search(replace(view, documents=view.documents.tail(1)))
    assert nothing.indices.shape == (1, 0)
    assert search(view).indices.tolist() == [[0]]


def test_unknown_baselines_suggest_the_near_one() -> None:
    with pytest.raises(InputError, match="Did you mean 'popularity'"):
        evaluate(baseline("populairty"), ranking_shop())
    assert (
        evaluate(baseline("bm25"), ranking_shop()).splits
        == evaluate(BagOfWords(), ranking_shop()).splits
    )


@pytest.mark.parametrize("foreign", [pl.lit("much"), pl.int_range(pl.len())])
def test_popularity_does_not_take_a_column_of_that_name(foreign: pl.Expr) -> None:
    dataset = ranking_shop()
    clash = dataset.documents.with_columns(popularity=foreign)
    found = evaluate(baseline("popularity"), dataset.with_tables(documents=clash))
    assert found.rankings.equals(evaluate(baseline("popularity"), dataset).rankings)
