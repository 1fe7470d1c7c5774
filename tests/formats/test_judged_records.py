"""Judgments that name queries by text and products by another key are joined, never misread."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.formats import read_tables
from rankfield.formats.tables.query_texts import query_ids
from rankfield.labels import make_labels
from rankfield.schema import RankingDataset

PRODUCTS = [
    {"productId": 7, "sku": "A-1", "productName": "Red clay mug", "imageUrl": "https://x.y/1.jpg"},
    {
        "productId": 8,
        "sku": "A-2",
        "productName": "Blue wool sock",
        "imageUrl": "https://x.y/2.jpg",
    },
    {"productId": 9, "sku": "A-3", "productName": "Tan oak shelf", "imageUrl": "https://x.y/3.jpg"},
]
SHEET = "Search Term,SKU,Grade\nRed  Mug,A-1,3\nred mug,A-3,0\nbed sock ,A-2,2\n"


def shop(folder: Path, sheet: str = SHEET, queries: str | None = None) -> Path:
    folder.mkdir()
    rows = "".join(json.dumps(product) + "\n" for product in PRODUCTS)
    (folder / "documents.jsonl").write_text(rows)
    (folder / "judgments.csv").write_text(sheet)
    if queries is not None:
        (folder / "queries.csv").write_text(queries)
    return folder


def pairs(data: RankingDataset) -> list[tuple[str, str, float]]:
    return data.judgments.select("query_id", "doc_id", "score").rows()


def test_a_sheet_by_text_and_another_key_needs_no_ids(tmp_path: Path) -> None:
    data, notes = read_tables(shop(tmp_path / "shop"))
    assert data.queries["query"].to_list() == ["red mug", "bed sock"]
    mug, sock = data.queries["query_id"]
    assert pairs(data) == [(mug, "7", 3.0), (mug, "9", 0.0), (sock, "8", 2.0)]
    assert [field.name for field in data.document_fields] == ["productName"]
    assert "judgments: 'SKU' is 'sku' of the documents, joined by it" in notes


def test_texts_are_joined_with_the_queries_of_a_log(tmp_path: Path) -> None:
    log = [
        {
            "searchTerm": text,
            "productId": 7,
            "sessionId": f"{text}{i}",
            "eventType": event,
            "rank": 1,
        }
        for text in ("RED mug", "Bed  Sock", "straße café")
        for i in range(3)
        for event in ("impression", "click")
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    make_labels(tmp_path / "log.jsonl", tmp_path / "labels")
    made = pl.read_parquet(tmp_path / "labels" / "queries.parquet")
    assert made["query_id"].to_list() == query_ids(made["query"]).to_list()
    found, _ = read_tables(
        shop(tmp_path / "shop"), queries_file=tmp_path / "labels" / "queries.parquet"
    )
    alone, _ = read_tables(tmp_path / "shop")
    assert pairs(found) == pairs(alone)
    assert found.queries.height == 3


def test_the_columns_of_each_table_are_chosen_apart(tmp_path: Path) -> None:
    folder = shop(
        tmp_path / "shop",
        "asked,item,SKU,Grade,doc_id\nq1,7,A-1,3,x\nq2,8,A-2,1,y\n",
        "number,text\nq1,red mug\nq2,bed sock\n",
    )
    chosen = ["queries.number", "judgments.asked"]
    data, _ = read_tables(folder, query_id=chosen, doc_id="judgments.item")
    assert pairs(data) == [("q1", "7", 3.0), ("q2", "8", 1.0)]
    by_sku, _ = read_tables(folder, query_id=chosen, doc_id=["sku"])
    assert pairs(by_sku) == [("q1", "A-1", 3.0), ("q2", "A-2", 1.0)]
    # a name that only the documents have leaves the usual name to the judgments
    (folder / "judgments.csv").write_text("asked,doc_id,Grade\nq1,A-1,3\n")
    named, _ = read_tables(folder, query_id=chosen, doc_id="sku")
    assert pairs(named) == [("q1", "A-1", 3.0)]


def test_ids_that_hold_another_key_are_joined_by_it(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", "query,doc_id,grade\nred mug,A-1,3\nbed sock,A-2,2\n")
    data, notes = read_tables(folder)
    assert data.judgments["doc_id"].to_list() == ["7", "8"]
    assert data.judgments["source_doc_id"].to_list() == ["A-1", "A-2"]
    assert "judgments: 'doc_id' is 'sku' of the documents, joined by it" in notes


@pytest.mark.parametrize(
    ("sheet", "queries", "message"),
    [
        (SHEET + "red mug,A-9,1\nred mug,A-8,1\n", None, r"row 5, .*'SKU'.*the sku.*'A-9'.*1 more"),
        (SHEET + ",A-2,1\n", None, r"row 5, .*'Search Term'.*text of a query, found nothing"),
        (SHEET, "id,query\n1,red mug\n2,Red Mug\n", "several queries have the .* 'red mug': 1, 2"),
        (SHEET, "id,query\n1,red mug\n", r"row 4.*expected the query of one of.*bed sock"),
        ("qid,query,SKU,Grade\n1,a,A-1,1\n1,b,A-2,1\n", None, "another text of the query '1'"),
        ("SKU,Grade\nA-1,1\n", None, r"expected one of queries\{.*a column with the text"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_refused(
    tmp_path: Path, sheet: str, queries: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_tables(shop(tmp_path / "shop", sheet, queries))


def test_a_chosen_column_must_be_somewhere(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    with pytest.raises(DataError, match=r"judgments.csv: expected a column 'skuu'"):
        read_tables(folder, doc_id=["judgments.skuu"])
    with pytest.raises(DataError, match="expected a column 'nowhere'"):
        read_tables(folder, doc_id="nowhere")
