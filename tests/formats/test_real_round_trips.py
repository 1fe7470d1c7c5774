"""The real data sets beside the checkout come back from every layout that can hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield.curation.splits import split
from rankfield.formats import read_tables
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import RankingDataset

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
GRADES = {"A": 3.0, "B": 2.0, "C": 1.0, "D": 0.0}
TITLES = {"document_fields": ["title:text"]}


def pairs(data: RankingDataset) -> pl.DataFrame:
    """The judgments by the queries' texts, for layouts without ids of queries."""
    queries = data.queries.select("query_id", query=data.query_fields[0].name)
    rows = data.judgments.join(queries, on="query_id").select("query", "doc_id", "score")
    return rows.sort("query", "doc_id", "score")


@pytest.mark.data
@pytest.mark.parametrize("name", ["luma", "icecat"])
@pytest.mark.parametrize(
    ("layout", "wanted", "given"),
    [
        ("tables", {"ending": "parquet"}, {}),
        ("tables", {"ending": "tsv"}, {}),
        ("trec", {}, {}),
        ("beir", {}, {}),
        ("wands", {"grades": GRADES}, {"grades": GRADES}),
        ("marqo-gs", {}, TITLES),
        ("marqo-gs-parquet", {}, TITLES),
        ("huggingface", {}, {}),
        ("elasticsearch", {"kind": "rank-eval"}, {}),
        ("elasticsearch", {"kind": "opensearch"}, {}),
        ("elasticsearch", {"kind": "ltr"}, {}),
    ],
)
def test_judgments_come_back(
    tmp_path: Path, *, name: str, layout: str, wanted: dict[str, Any], given: dict[str, Any]
) -> None:
    if not (DATA / name).is_dir():
        pytest.skip("the real data sets are not here")
    data, _ = read_tables(DATA / name)
    if layout.startswith("marqo-gs"):
        data = split(data)
    out = tmp_path / "out"
    LAYOUTS[layout].write(data, out, **wanted)
    if layout == "elasticsearch":
        given = {"documents": DATA / name / "documents.csv"}
    again, _ = LAYOUTS[layout].read(out, **given)
    assert pairs(again).equals(pairs(data))
    assert set(again.documents["doc_id"]) >= set(data.judgments["doc_id"])
