"""Which pairs are judged."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from judged_shop import judged_shop
from rankfield.errors import DataError, InputError
from rankfield.evaluation import BagOfWords, evaluate
from rankfield.judging import choose_pairs
from rankfield.schema import RankingDataset


@pytest.fixture
def shop(tmp_path: Path) -> RankingDataset:
    return judged_shop(tmp_path)


def test_pairs_are_chosen(shop: RankingDataset, tmp_path: Path) -> None:
    shuffled = shop.with_tables(judgments=shop.judgments.sample(fraction=1, shuffle=True, seed=5))
    few = choose_pairs(shop, per_query=3, seed=1)
    assert few.equals(choose_pairs(shuffled, per_query=3, seed=1))
    assert not few.equals(choose_pairs(shop, per_query=3, seed=2))
    assert few.group_by("query_id").len()["len"].unique().to_list() == [3]
    table = tmp_path / "pairs.csv"
    table.write_text("query_id,doc_id\nq1,d1\nq1,d1\nq0,d2\n")
    assert choose_pairs(shop, file=table).rows() == [("q0", "d2"), ("q1", "d1")]
    for text, message in (
        ("query_id,doc\nq1,d1\n", "column 'doc_id' is missing"),
        ("query_id,doc_id\nq1,d1\nq9,d1\n", "row 3, column 'query_id': 'q9' is not among"),
        ("query_id,doc_id\nq1,\n", "row 2, column 'doc_id': nothing is not among"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            choose_pairs(shop, file=table)


def test_unjudged_results_are_chosen(shop: RankingDataset, tmp_path: Path) -> None:
    some = shop.with_tables(judgments=shop.judgments.filter(pl.col("doc_id") != "d5"))
    evaluate(BagOfWords(), some).save(tmp_path / "results.json")
    pairs = choose_pairs(some, results=tmp_path / "results.json")
    assert pairs.height
    assert pairs["doc_id"].unique().to_list() == ["d5"]
    with pytest.raises(InputError, match="found two"):
        choose_pairs(some, results=tmp_path / "results.json", file=tmp_path / "x.csv")
