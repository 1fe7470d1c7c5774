from __future__ import annotations

import importlib
import math
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rankfield.errors import DataError, InputError, ModelError
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.training import Mined, MineSettings, mine
from ranking_shop import FakeModel, ranking_shop

MODULE = importlib.import_module("rankfield.training.mining")
QUERIES, DOCUMENTS, WIDTH = 12, 40, 16


class ArrayModel:
    """Gives each row the vector that belongs to its id."""

    name = "arrays"

    def __init__(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> None:
        self.left, self.right = left, right
        self.seen: set[str] = set()

    def embed_queries(self, dataset: RankingDataset, queries: pl.DataFrame) -> NDArray[np.float32]:
        return self.left[[int(i[1:]) for i in queries["query_id"]]]

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> NDArray[np.float32]:
        self.seen |= set(documents["doc_id"])
        return self.right[[int(i[1:]) for i in documents["doc_id"]]]


def data(rng: np.random.Generator, *, split: bool) -> RankingDataset:
    """Random judgments of grades 0 to 3; some documents have the same title."""
    splits = [["zero_shot", "novel_query"], ["novel_document", "in_domain"]]
    seen = rng.random(QUERIES) < 0.8, rng.random(DOCUMENTS) < 0.7
    judged = np.argwhere(rng.random((QUERIES, DOCUMENTS)) < rng.choice([0.05, 0.3]))
    if not any(seen[0][q] and seen[1][d] for q, d in judged):
        judged, seen[0][0], seen[1][0] = np.array([[0, 0]]), True, True
    queries = pl.DataFrame({"query_id": [f"q{i}" for i in range(QUERIES)], "text": "a"})
    titles = [f"title {i}" for i in rng.integers(0, DOCUMENTS, DOCUMENTS)]
    documents = pl.DataFrame({"doc_id": [f"d{i}" for i in range(DOCUMENTS)], "title": titles})
    judgments = pl.DataFrame(
        {
            "query_id": [f"q{q}" for q, _ in judged],
            "doc_id": [f"d{d}" for _, d in judged],
            "score": rng.integers(0, 4, len(judged)).astype(float),
        }
    )
    if split:
        queries, documents = (
            queries.with_columns(seen=seen[0]),
            documents.with_columns(seen=seen[1]),
        )
        names = [splits[int(seen[0][q])][int(seen[1][d])] for q, d in judged]
        judgments = judgments.with_columns(split=pl.Series(names))
    return RankingDataset(
        name="random",
        query_fields=(Field("text", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 3, 2),
        queries=queries,
        documents=documents,
        judgments=judgments,
    )


def mine_loops(
    dataset: RankingDataset, left: NDArray[Any], right: NDArray[Any], wanted: MineSettings
) -> tuple[list[tuple[str, str, int, float]], Counter[str]]:
    """The definition, one candidate after the other."""
    pairs = {(j["query_id"], j["doc_id"]): j for j in dataset.judgments.iter_rows(named=True)}
    title = dict(dataset.documents.select("doc_id", "title").iter_rows())
    corpus = [row for row in dataset.documents.iter_rows(named=True) if row.get("seen", True)]
    rows, counts = [], Counter[str]()
    for number, query in enumerate(dataset.queries["query_id"]):
        training = {
            d: j["score"]
            for (q, d), j in pairs.items()
            if q == query and j.get("split", "in_domain") == "in_domain"
        }
        if not training:
            continue
        counts["queries"] += 1
        similarity = {row["doc_id"]: right[int(row["doc_id"][1:])] @ left[number] for row in corpus}
        best_score = max(training.values())
        good = [d for d, s in training.items() if s >= min(2, best_score)]
        best = float(max(similarity[d] for d in good))
        judged = [d for d in similarity if (query, d) in pairs]
        order = [
            corpus[i]["doc_id"]
            for i in np.argsort([-s for s in similarity.values()], kind="stable")
        ]
        rank, kept = 0, []
        for document in order:
            if rank >= wanted.last:
                break
            if document in judged:
                counts["judged"] += 1
                continue
            rank += 1
            if rank < wanted.first:
                continue
            vector = right[int(document[1:])]
            if any(
                title[document] == title[j]
                or (
                    wanted.near_duplicate <= 1
                    and vector @ right[int(j[1:])] >= wanted.near_duplicate
                )
                for j in judged
            ):
                counts["near"] += 1
            elif (wanted.margin is not None and similarity[document] > best - wanted.margin) or (
                wanted.relative_margin is not None
                and similarity[document] > best - wanted.relative_margin * abs(best)
            ):
                counts["above"] += 1
            else:
                kept.append((query, document, rank, float(similarity[document])))
        if wanted.sample == "random" and len(kept) > wanted.per_query:
            rng = np.random.default_rng([wanted.seed, number])
            chosen = sorted(rng.choice(len(kept), wanted.per_query, replace=False).tolist())
            kept = [kept[i] for i in chosen]
        kept = kept[: wanted.per_query]
        counts["short"] += len(kept) < wanted.per_query
        rows += kept
    return rows, counts


def counts_of(mined: Mined) -> dict[str, int]:
    return {
        "queries": mined.queries,
        "judged": mined.judged,
        "near": mined.near_duplicates,
        "above": mined.above_margin,
        "short": mined.short,
    }


@given(
    seed=st.integers(0, 10_000),
    split=st.booleans(),
    ties=st.booleans(),
    per_query=st.integers(1, 8),
    first=st.integers(1, 6),
    width=st.integers(0, 40),
    margin=st.sampled_from([None, 0.0, 0.125, 0.5, -0.25]),
    relative=st.sampled_from([None, 0.0, 0.05, 1.0, -3.0]),
    near=st.sampled_from([0.5, 0.875, 0.98, 1.0, 1.5]),
    sample=st.sampled_from(["top", "random"]),
)
@settings(max_examples=200, deadline=None)
def test_equals_the_definition(seed: int, split: bool, ties: bool, **chosen: Any) -> None:
    rng = np.random.default_rng(seed)
    dataset = data(rng, split=split)
    if ties:
        # Unit vectors of ±1/4: inner products are exact eighths, and many of them are equal.
        signs = rng.choice([-0.25, 0.25], (6, WIDTH)).astype(np.float32)
        left, right = signs[rng.integers(0, 6, QUERIES)], signs[rng.integers(0, 6, DOCUMENTS)]
        flips = rng.choice([-1, 1], (DOCUMENTS, WIDTH), p=[0.1, 0.9]).astype(np.float32)
        right = right * flips
    else:
        both = rng.normal(size=(QUERIES + DOCUMENTS, WIDTH))
        both /= np.linalg.norm(both, axis=1, keepdims=True)
        left, right = both[:QUERIES].astype(np.float32), both[QUERIES:].astype(np.float32)
    wanted = MineSettings(
        per_query=chosen["per_query"],
        first=chosen["first"],
        last=chosen["first"] + chosen["width"],
        margin=chosen["margin"],
        relative_margin=chosen["relative"],
        near_duplicate=chosen["near"],
        sample=chosen["sample"],
        seed=seed,
    )
    if not ties and chosen["near"] == 1.0:  # rounding decides, in either form
        wanted = MineSettings(**{**vars(wanted), "near_duplicate": 0.98})
    mined = mine(ArrayModel(left, right), dataset, wanted)
    rows, counts = mine_loops(dataset, left, right, wanted)
    found = mined.negatives
    assert found.select("query_id", "doc_id", "rank").rows() == [row[:3] for row in rows]
    np.testing.assert_allclose(found["similarity"], [row[3] for row in rows], atol=1e-6)
    assert counts_of(mined) == {name: counts[name] for name in counts_of(mined)}


@pytest.mark.parametrize("sample", ["top", "random"])
def test_tiles_and_memory_change_nothing(sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = ranking_shop(documents=200)
    model = FakeModel(noise=0.3)
    wanted: dict[str, Any] = {"per_query": 5, "sample": sample, "last": 40, "relative_margin": -1.0}
    once = mine(model, shop, MineSettings(**wanted))
    monkeypatch.setattr(MODULE, "_LARGEST_TILE", 3)
    again = mine(model, shop, MineSettings(**wanted, memory_mib=1))
    monkeypatch.setattr(MODULE, "_BYTES_PER_HIT", 2**20)
    narrow = mine(model, shop, MineSettings(**wanted, memory_mib=1))
    assert once.negatives.height == 5 * once.queries
    for other in (again, narrow):
        columns = ["query_id", "doc_id", "rank"]
        assert other.negatives.select(columns).equals(once.negatives.select(columns))
        assert counts_of(other) == counts_of(once)


def test_the_frame() -> None:
    shop = ranking_shop()
    model = FakeModel(noise=0.5)
    mined = mine(model, shop, MineSettings(relative_margin=-1.0))
    assert dict(mined.negatives.schema) == {
        "query_id": pl.String,
        "doc_id": pl.String,
        "rank": pl.Int32,
        "similarity": pl.Float32,
    }
    assert (mined.model, mined.data, mined.fingerprint) == ("fake", "shop", shop.fingerprint())
    queries = mined.negatives["query_id"].unique(maintain_order=True)
    assert queries.to_list() == [q for q in shop.queries["query_id"] if q in set(queries)]
    for row in mined.negatives.group_by("query_id", maintain_order=True).agg("rank")["rank"]:
        assert row.to_list() == sorted(set(row))


def test_training_sees_nothing_that_is_held_out() -> None:
    rng = np.random.default_rng(1)
    dataset = data(rng, split=True)
    left, right = (rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (QUERIES, DOCUMENTS))
    model = ArrayModel(left, right)
    mined = mine(model, dataset, MineSettings(relative_margin=None, near_duplicate=2.0, last=1000))
    seen = set(dataset.documents.filter("seen")["doc_id"])
    assert model.seen == seen
    assert set(mined.negatives["doc_id"]) <= seen
    assert set(mined.negatives["query_id"]) == set(dataset.training_judgments()["query_id"])
    # Not even a pair that is judged on the held-out side of the same query is a negative.
    both = mined.negatives.join(dataset.judgments, on=["query_id", "doc_id"], how="semi")
    assert both.is_empty()


def test_equal_content_is_always_dropped() -> None:
    dataset = ranking_shop(split=False)
    titles = dataset.documents["title"].to_list()
    judged = dataset.judgments.filter(pl.col("query_id") == "q0")["doc_id"][0]
    twin = next(
        d
        for d in dataset.documents["doc_id"]
        if d not in set(dataset.judgments.filter(pl.col("query_id") == "q0")["doc_id"])
    )
    titles[int(twin[1:])] = titles[int(judged[1:])]
    changed = dataset.with_tables(documents=dataset.documents.with_columns(title=pl.Series(titles)))
    wanted = MineSettings(relative_margin=None, near_duplicate=2.0, last=1000, per_query=1000)
    for data, there in ((dataset, True), (changed, False)):
        found = mine(FakeModel(noise=0.2), data, wanted).negatives
        of_query = found.filter(pl.col("query_id") == "q0")["doc_id"].to_list()
        assert (twin in of_query) == there


def test_a_random_sample_depends_on_seed_and_query_alone() -> None:
    shop = ranking_shop(documents=120)
    model = FakeModel(noise=0.5)
    wanted: dict[str, Any] = {"per_query": 4, "relative_margin": None, "near_duplicate": 2.0}
    top = mine(model, shop, MineSettings(**wanted))
    wanted["sample"] = "random"
    one, same, other = (mine(model, shop, MineSettings(**wanted, seed=s)) for s in (1, 1, 2))
    assert one.negatives.equals(same.negatives)
    assert not one.negatives.equals(other.negatives)
    assert top.negatives["rank"].to_numpy().mean() == 2.5
    assert one.negatives["rank"].to_numpy().mean() > 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per_query": 0}, "per_query: expected at least 1, found 0"),
        ({"first": 0}, "first: expected at least 1"),
        ({"first": 5, "last": 4}, r"last: expected at least first \(5\), found 4"),
        ({"margin": math.nan}, "margin: expected a finite number, found nan"),
        ({"relative_margin": math.nan}, "relative_margin: expected a share of at most 1"),
        ({"relative_margin": 1.5}, "relative_margin: expected a share of at most 1"),
        ({"near_duplicate": 0.0}, "near_duplicate: expected a cosine above 0"),
        ({"near_duplicate": math.nan}, "near_duplicate: expected a cosine above 0"),
        ({"sample": "best"}, "sample: expected 'top' or 'random', found 'best'"),
        ({"seed": -1}, "seed: expected at least 0"),
        ({"memory_mib": 0}, "memory_mib: expected at least 1"),
    ],
)
def test_settings_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MineSettings(**values)


def test_what_cannot_be_mined() -> None:
    shop = ranking_shop()
    empty = shop.with_tables(judgments=shop.judgments.filter(pl.col("split") != "in_domain"))
    with pytest.raises(DataError, match="no judged pair can be trained on"):
        mine(FakeModel(), empty)
    model = FakeModel()
    model._embed = lambda side, texts: np.ones((2, 3), np.float32)  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="expected one embedding for each of 15 queries"):
        mine(model, shop)
    model._embed = lambda side, texts: np.full((len(texts), 3), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(DataError, match="expected finite numbers"):
        mine(model, shop)
    twice = shop.with_tables(documents=pl.concat([shop.documents, shop.documents.head(1)]))
    with pytest.raises(DataError, match="'doc_id' has the same id twice"):
        mine(FakeModel(), twice)


def test_ranks_past_the_last_document() -> None:
    shop = ranking_shop()
    mined = mine(FakeModel(), shop, MineSettings(first=1000, last=2000))
    assert mined.negatives.is_empty()
    assert mined.short == mined.queries == 15
