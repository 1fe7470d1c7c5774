"""The hidden relevance: no attribute alone gives it away, and no model of the data reaches 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rankfield.synthetic.catalogue import Catalogue, make_catalogue
from rankfield.synthetic.queries import Query, make_queries
from rankfield.synthetic.relevance import WEIGHTS, Relevance
from rankfield.synthetic.titles import make_titles

DOCUMENTS, QUERIES, LENGTH = 5000, 150, 100

Parts = dict[str, NDArray[np.float32]]


class Oracles:
    """A shop whose hidden parts are laid open, to score it as a perfect model of some would."""

    def __init__(self) -> None:
        self.catalogue: Catalogue = make_catalogue(DOCUMENTS, seed=0)
        self.queries: list[Query] = make_queries(self.catalogue, QUERIES, seed=0)
        relevance = Relevance(self.catalogue, seed=0)
        self.lists = [relevance.ranked(n, q, LENGTH) for n, q in enumerate(self.queries)]
        rows = np.arange(DOCUMENTS)
        self.parts: list[Parts] = [relevance.parts(q, rows) for q in self.queries]

    def ndcg(self, score: Callable[[Parts], NDArray[np.floating]]) -> float:
        """Mean nDCG@10 with linear gain over the whole catalogue, ties in random order."""
        rng = np.random.default_rng(0)
        discount = 1 / np.log2(np.arange(2, 12))
        ideal = np.arange(LENGTH, LENGTH - 10, -1) @ discount
        values = []
        for ranked, parts in zip(self.lists, self.parts, strict=True):
            gain = np.zeros(DOCUMENTS)
            gain[ranked] = np.arange(LENGTH, 0, -1)
            top = np.lexsort((rng.random(DOCUMENTS), -score(parts)))[:10]
            values.append(gain[top] @ discount / ideal)
        return float(np.mean(values))

    def attributes(self, parts: Parts, *, without: tuple[str, ...] = ()) -> NDArray[np.floating]:
        """What fields can tell of the match, popularity left out."""
        known = [part for name, part in parts.items() if name not in (*without, "popularity")]
        return sum(known, np.zeros(DOCUMENTS, np.float32))

    def all_attributes(
        self, parts: Parts, *, without: tuple[str, ...] = ()
    ) -> NDArray[np.floating]:
        """What fields can tell: attributes and the explained part of popularity."""
        appeal = np.float32(WEIGHTS["popularity"]) * self.catalogue.appeal
        explained: NDArray[np.floating] = self.attributes(parts, without=without) + appeal
        return explained


@pytest.fixture(scope="module")
def shop() -> Oracles:
    return Oracles()


def test_a_perfect_model_does_not_reach_one(shop: Oracles) -> None:
    noiseless = shop.ndcg(lambda parts: np.add.reduce(list(parts.values())))
    attributes = shop.ndcg(shop.all_attributes)
    assert 0.90 <= noiseless <= 0.96
    assert 0.85 <= attributes <= noiseless - 0.01


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "noise"])
def test_no_attribute_alone_gives_the_order_away(shop: Oracles, name: str) -> None:
    alone = shop.ndcg(lambda parts: parts.get(name, np.zeros(DOCUMENTS, np.float32)))
    assert alone < 0.75 * shop.ndcg(shop.all_attributes)


def test_neither_text_nor_photo_is_enough(shop: Oracles) -> None:
    everything = shop.ndcg(shop.all_attributes)
    seen = ("colour", "pattern")
    unseen = ("style", "use", "audience", "size", "brand", "price")
    assert shop.ndcg(lambda parts: shop.all_attributes(parts, without=seen)) < 0.8 * everything
    assert shop.ndcg(lambda parts: shop.attributes(parts, without=unseen)) < 0.8 * everything


def test_popularity_alone_says_little_and_yet_the_order_needs_it(shop: Oracles) -> None:
    everything = shop.ndcg(shop.all_attributes)
    assert shop.ndcg(lambda _: shop.catalogue.popularity) < 0.1
    assert shop.ndcg(shop.attributes) < 0.9 * everything


def test_knowing_what_is_in_the_list_is_not_knowing_its_order(shop: Oracles) -> None:
    members = iter(shop.lists)
    membership = shop.ndcg(lambda _: np.isin(np.arange(DOCUMENTS), next(members)).astype(float))
    assert 0.45 < membership < 0.6


def test_the_top_matches_what_is_asked_better_than_the_tail(shop: Oracles) -> None:
    def match(first: int, last: int) -> float:
        shares = []
        for query, ranked, parts in zip(shop.queries, shop.lists, shop.parts, strict=True):
            reached = sum(float(parts[name][ranked[first:last]].mean()) for name in query.wishes)
            shares.append(reached / sum(WEIGHTS[name] for name in query.wishes))
        return float(np.mean(shares))

    assert match(0, 10) > match(10, 20) + 0.05
    assert match(10, 20) > match(50, 100) + 0.1


def test_lists_reach_into_sister_categories(shop: Oracles) -> None:
    kinds = shop.catalogue.category
    mixed = [len(set(kinds[ranked].tolist())) > 1 for ranked in shop.lists]
    assert np.mean(mixed) > 0.4


def test_most_queries_differ_and_name_what_they_ask_for(shop: Oracles) -> None:
    queries = make_queries(shop.catalogue, 1000, seed=1)
    texts = [query.text for query in queries]
    assert len(set(texts)) > 990
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) == 1
    assert 3 < np.mean(lengths) < 6
    assert all(text == text.lower() and "{" not in text for text in texts)
    assert 0.02 < np.mean(["category" not in query.wishes for query in queries]) < 0.15


def test_titles_read_well(shop: Oracles) -> None:
    titles = make_titles(shop.catalogue, 0, seed=0)
    assert len(titles) == DOCUMENTS
    for title in titles:
        assert title == " ".join(title.split())
        assert title[0].isupper() or title[0].isdigit()
        assert not set("{}") & set(title)
        assert ",," not in title
        assert not title.endswith((",", " for", " in", " by", " of"))


def test_popularity_is_explained_in_part_only(shop: Oracles) -> None:
    correlation = np.corrcoef(shop.catalogue.appeal, shop.catalogue.popularity)[0, 1]
    assert 0.5 < correlation < 0.85
