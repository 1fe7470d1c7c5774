from __future__ import annotations

import math
import sys

import polars as pl
import pytest

from rankfield.errors import DataError, MissingExtraError
from rankfield.evaluation import BagOfWords, compare, evaluate
from rankfield.schema import Field, RankingDataset, ScoreScale
from ranking_shop import FakeModel, ranking_shop


def test_bag_of_words_finds_shared_words() -> None:
    dataset = ranking_shop()
    words, chance = BagOfWords().evaluate(dataset), evaluate(FakeModel(noise=50.0), dataset)
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
    found = BagOfWords().evaluate(tiny(titles, "RED mug")).rankings
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
    results = BagOfWords().evaluate(tiny(titles, query))
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
        BagOfWords().evaluate(pictures)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtraError, match=r"rankfield\[baselines\]"):
        BagOfWords()
