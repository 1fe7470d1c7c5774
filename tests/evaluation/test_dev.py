from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankfield.evaluation import DevSet, dev_ndcg, dev_splits
from rankfield.schema import SPLITS, RankingDataset
from ranking_shop import FakeModel, ranking_shop

SHOP = ranking_shop(documents=400)
MODEL = FakeModel(noise=0.5)


def judged(data: RankingDataset, splits: tuple[str, ...]) -> set[str]:
    return {i for split in splits for i in data.view(split, "dev").judgments["doc_id"]}


def test_small_sets_are_searched_whole() -> None:
    whole = DevSet.of(SHOP, SPLITS)
    limited = DevSet.of(SHOP, SPLITS, queries=5000, documents=200)
    for one, other in zip(whole.views, limited.views, strict=True):
        view = SHOP.view(one.name, "dev")
        for found in (one, other):
            assert found.documents.equals(view.documents)
            assert found.queries.equals(view.queries)
            assert found.judgments.equals(view.judgments)
    assert whole.ndcg(MODEL) == limited.ndcg(MODEL) == dev_ndcg(MODEL, SHOP, SPLITS)


def test_large_corpora_are_searched_in_the_judged_documents_and_a_sample() -> None:
    found = DevSet.of(SHOP, SPLITS, documents=20)
    corpora = {"seen": SPLITS[:2], "unseen": SPLITS[2:]}
    for splits in corpora.values():
        views = [view for view in found.views if view.name in splits]
        ids = views[0].documents["doc_id"]
        assert ids.equals(views[1].documents["doc_id"])
        every = SHOP.view(splits[0]).documents["doc_id"].to_list()
        known = judged(SHOP, splits)
        extra = [i for i in ids if i not in known]
        assert known <= set(ids) < set(every)
        assert len(ids) <= len(known) + 20
        assert 0 < len(extra) <= 20
        assert ids.to_list() == [i for i in every if i in set(ids)]  # ties go by the table's order
    sizes = found.sizes()["zero_shot"]
    height = found.views[-1].documents.height
    assert sizes.endswith(f"queries over {height} of 200 documents")


def test_a_model_embeds_no_more_than_the_sample() -> None:
    model = FakeModel()
    found = DevSet.of(SHOP, ["in_domain", "novel_query"], documents=1)
    found.ndcg(model)
    embedded = [count for side, count in model.embedded if side == "documents"]
    assert embedded == [found.views[0].documents.height]
    assert embedded[0] < 200


def test_the_sample_hangs_on_the_ids_alone() -> None:
    def ids(data: RankingDataset) -> list[set[str]]:
        found = DevSet.of(data, SPLITS, documents=20, queries=2)
        return [
            {*view.documents["doc_id"], *view.queries["query_id"], *view.judgments["query_id"]}
            for view in found.views
        ]

    expected = ids(SHOP)
    order = np.random.default_rng(0).permutation(SHOP.documents.height)
    other = SHOP.with_tables(
        documents=SHOP.documents[order.tolist()].with_columns(title=pl.lit("x")),
        judgments=SHOP.judgments.reverse(),
    )
    assert ids(other) == expected


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    def extra(count: int) -> set[str]:
        view = DevSet.of(SHOP, ["zero_shot"], documents=count).views[0]
        return set(view.documents["doc_id"]) - judged(SHOP, ("zero_shot",))

    assert extra(10) < extra(60) < extra(150)


def test_fewer_queries_keep_their_own_judgments() -> None:
    found = DevSet.of(SHOP, SPLITS, queries=2)
    for view in found.views:
        assert view.queries.height == 2
        own = SHOP.view(view.name, "dev").judgments
        assert view.judgments.equals(
            own.join(view.queries, on="query_id", how="semi", maintain_order="left")
        )
    assert found.sizes()["in_domain"].startswith("2 of ")
    assert set(found.ndcg(MODEL)) == set(SPLITS)


def test_splits_without_dev_queries_are_left_out() -> None:
    assert dev_splits(SHOP, SPLITS) == list(SPLITS)
    assert dev_splits(SHOP, ["zero_shot", "in_domain"]) == ["in_domain", "zero_shot"]
    tested = SHOP.with_tables(
        queries=SHOP.queries.with_columns(
            subset=pl.when("seen").then("subset").otherwise(pl.lit("test"))
        )
    )
    assert dev_splits(tested, SPLITS) == ["in_domain", "novel_document"]
    unmarked = SHOP.with_tables(queries=SHOP.queries.drop("subset"))
    assert dev_splits(unmarked, SPLITS) == []


def test_data_without_splits_are_measured_by_their_dev_queries() -> None:
    plain = SHOP.with_tables(
        queries=SHOP.queries.drop("seen"),
        documents=SHOP.documents.drop("seen"),
        judgments=SHOP.judgments.drop("split"),
    )
    assert dev_splits(plain, SPLITS) == ["all"]
    found = DevSet.of(plain, ["all"], documents=30)
    assert found.views[0].queries.equals(plain.queries.filter(pl.col("subset") == "dev"))
    assert set(found.views[0].judgments["doc_id"]) <= set(found.views[0].documents["doc_id"])
    none = plain.with_tables(queries=plain.queries.with_columns(subset=pl.lit("test")))
    assert dev_splits(none, SPLITS) == []


def test_equal_to_plain_loops_over_the_sample() -> None:
    found = DevSet.of(SHOP, ["zero_shot"], documents=15)
    view = found.views[0]
    data = replace(SHOP, documents=view.documents)
    queries = MODEL.embed_queries(data, view.queries)
    documents = MODEL.embed_documents(data, view.documents)
    scores = {(q, d): s for q, d, s in view.judgments.select("query_id", "doc_id", "score").rows()}
    values = []
    for row, query in enumerate(view.queries["query_id"]):
        order = np.argsort(-(documents @ queries[row]), kind="stable")[:10]
        ids = view.documents["doc_id"]
        gain = sum(
            scores.get((query, ids[int(d)]), 0) / np.log2(r + 2) for r, d in enumerate(order)
        )
        own = sorted((s for (q, _), s in scores.items() if q == query), reverse=True)[:10]
        best = sum(score / np.log2(rank + 2) for rank, score in enumerate(own))
        if best > 0:
            values.append(gain / best)
    assert found.ndcg(MODEL)["zero_shot"] == pytest.approx(np.mean(values), abs=1e-6)
