"""The comparison of models and settings: movements, overlaps, figures, its address."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from starlette.testclient import TestClient

from parsed_page import Page
from rankfield.schema import RankingDataset
from rankfield.serving.keys import Keys
from rankfield.serving.page.compare_address import Column, CompareQuery
from rankfield.serving.page.movement import movements, overlap
from rankfield.serving.page.order import Order
from rankfield.synthetic import sample_shop
from served_shop import both_indexes, client_of, index_twice

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b{{ 7*7 }}'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared")
    data = sample_shop(root / "data", documents=40, queries=6, images=False)
    index_twice(root, data)
    return root


@pytest.fixture(scope="module")
def client(shop: Path) -> Iterator[TestClient]:
    with client_of(shop, folders=both_indexes(shop)) as found:
        yield found


def ids(client: TestClient, words: str, limit: int, **more: Any) -> list[str]:
    body = {"query": words, "limit": limit, **more}
    answer = client.post("/v1/search", json=body).json()
    return [hit["doc_id"] for hit in answer["hits"]]


def sections(text: str) -> list[str]:
    """Return the columns of a page."""
    return re.findall(r"<section.*?</section>", text, re.DOTALL)


def test_movements_are_counted_from_the_first_list() -> None:
    first, second, third = ["a", "b", "c", "d"], ["c", "a", "x"], ["c", "y"]
    found = movements([first, second, third], 2)
    assert {doc: one.moved for doc, one in found[1].items()} == {"c": 2, "a": -1}
    assert found[2]["y"].moved is None
    assert found[2]["c"].ranks == (3, 1, 1)
    assert [doc for doc, one in found[1].items() if one.only_here] == []
    assert [doc for doc, one in found[0].items() if one.only_here] == ["b"]
    assert not found[1]["c"].in_all  # third in the first list
    assert movements([["a"], ["a", "b"]], 2)[1]["a"].in_all


def test_overlap_counts_both_lists_first_k() -> None:
    assert overlap(["a", "b", "c"], ["b", "d", "a"], 2) == 0.5
    assert overlap(["a"], ["a"], 10) == 1.0
    assert overlap([], [], 10) is None


def test_columns_are_what_the_indexes_find(client: TestClient) -> None:
    page = client.get("/compare", params={"q": "red mug", "k": "7"})
    assert page.status_code == 200
    found = sections(page.text)
    lists = [ids(client, "red mug", 100, index=name) for name in ("one", "two")]
    for column, (mine, other) in zip(found, (lists, lists[::-1]), strict=True):
        assert re.findall(r"id=([\w-]+)", column) == []  # no images in this data set
        assert column.count("<li") == 7
        ranks = [other.index(doc) + 1 for doc in mine[:7]]
        said = [int(rank) for rank in re.findall(r"Rank (\d+) of [AB]\.", column)]
        assert said == ranks
        shared = len({*mine[:7]} & {*other[:7]})
        assert f"<dd>{shared / 7:.2f}</dd>" in column
        assert column.count("only here") == 7 - shared
        assert column.count("in all") == shared
    moves = [lists[0].index(doc) - rank for rank, doc in enumerate(lists[1][:7])]
    words = re.findall(r"(Up|Down) (\d+) from rank|(The same rank) as", found[1])
    read = [int(n or 0) * (-1 if way == "Down" else 1) for way, n, _ in words]
    assert read == moves
    assert found[1].count("↑") == sum(move > 0 for move in moves)
    assert "from rank" not in found[0]


def test_settings_are_compared_too(client: TestClient) -> None:
    address = (
        "/compare?q=red+mug&index.1=one&index.2=one&hybrid.2=1&index.3=one&diversity.3=0.6&k=5"
    )
    found = sections(client.get(address).text)
    diverse = {"mmr": {"diversity": 0.6, "candidates": 193}}
    settings: list[dict[str, Any]] = [{}, {"hybrid": {}}, diverse]
    lists = [ids(client, "red mug", 5, index="one", **more) for more in settings]
    titles = {
        hit["doc_id"]: hit["document"]["title"]
        for hit in client.post("/v1/search", json={"query": "red", "limit": 40, "index": "one"})
        .json()["hits"]
    }  # fmt: skip
    for column, expected in zip(found, lists, strict=True):
        shown = re.findall(r"</span> (.*?)</h3>", column)
        assert [html.unescape(one) for one in shown] == [titles[doc] for doc in expected]
    assert "one, with BM25" in found[1]
    assert "one, diversity 0.6" in found[2]


def test_one_index_is_compared_with_words_counted_too(shop: Path) -> None:
    with client_of(shop, folders={"one": shop / "index0"}) as client:
        page = client.get("/compare", params={"q": "red mug"})
        assert "one, with BM25" in sections(page.text)[1]


def test_an_address_holds_all_that_was_asked() -> None:
    page = CompareQuery(
        "red", "q1", 20, (Column("a"), Column("b", Order(hybrid=True, diversity=0.25)))
    )
    assert CompareQuery.of(parse_qsl(page.address().partition("?")[2])) == page


def test_queries_of_the_set_are_stepped_through(client: TestClient, shop: Path) -> None:
    queries = RankingDataset.load(shop / "data").queries
    page = client.get("/compare").text
    seen = []
    while after := re.findall(r'href="([^"]*)" rel="next"', page):
        page = client.get(html.unescape(after[0])).text
        seen += re.findall(r"<h1>(.*?)</h1>", page)
    assert [html.unescape(one) for one in seen] == queries["query"].to_list()
    assert "query 6 of 6" in page
    (before,) = re.findall(r'href="([^"]*)" rel="prev"', page)
    assert "query 5 of 6" in client.get(html.unescape(before)).text
    # the same words are the same query; other words with its id are not
    words = {"q": queries["query"][2], "query": queries["query_id"][0]}
    assert "query 3 of 6" in client.get("/compare", params=words).text
    assert "not a query of the set" in client.get("/compare", params={"q": "else"}).text


def test_figures_are_those_of_judgments_and_raters(shop: Path, tmp_path: Path) -> None:
    data = RankingDataset.load(shop / "data")
    query = data.judgments["query_id"][0]
    grades = dict(data.judgments.filter(query_id=query).select("doc_id", "score").rows())
    (words,) = data.queries.filter(query_id=query)["query"]
    with client_of(shop, folders=both_indexes(shop), data=tmp_path / "kept") as client:
        lists = [ids(client, words, 100, index=name) for name in ("one", "two")]
        rated = lists[1][0]

        def shown() -> list[str]:
            text = client.get("/compare", params={"query": query}).text
            return re.findall(r"<dt>nDCG@10</dt><dd>([\d.]+) ", text)

        assert shown() == [_ndcg(one, grades) for one in lists]
        judgment = {"query_id": query, "doc_id": rated, "score": 77.0, "rater": "ann"}
        sent = client.post("/v1/judgments", json={"judgments": [judgment]})
        assert sent.status_code == 200
        grades[rated] = 77.0
        assert shown() == [_ndcg(one, grades) for one in lists]
        text = client.get("/compare", params={"query": query}).text
        assert "1 by raters" in text
        assert "grade 77" in sections(text)[1]


def _ndcg(found: list[str], grades: dict[str, float]) -> str:
    """Return nDCG@10 with linear gains, by its formula."""
    gains = [max(grades.get(doc, 0.0), 0.0) for doc in found[:10]]
    ideal = sorted((max(one, 0.0) for one in grades.values()), reverse=True)[:10]
    discount = 1 / np.log2(np.arange(10) + 2)
    value = sum(np.array(gains) * discount) / sum(np.array(ideal) * discount[: len(ideal)])
    return f"{value:.3f}"


def test_a_query_without_judgments_has_no_figures(client: TestClient) -> None:
    text = client.get("/compare", params={"q": "something else"}).text
    assert "nDCG" not in text
    assert "no grade" not in text


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/compare?q=red&index.1=one", 422, "2 to 4"),
        ("/compare?q=red&index.1=one&index.2=absent", 404, "absent"),
        ("/compare?q=red&index.5=one&index.2=one", 422, "unknown key"),
        ("/compare?q=red&nonsense=1", 422, "unknown key"),
        ("/compare?q=red&k=51", 422, "1 to 50"),
        ("/compare?q=red&k=-1", 422, "whole number"),
        ("/compare?q=red&index.1=one&index.2=two&diversity.2=nan", 422, "number"),
        ("/compare?query=%3Cb%3Eabsent", 404, "&lt;b&gt;absent"),
    ],
)
def test_what_cannot_be_compared_is_said(
    client: TestClient, address: str, status: int, said: str
) -> None:
    found = client.get(address)
    assert found.status_code == status
    (alert,) = re.findall(r'role="alert">(.*?)</p>', found.text)
    assert said in alert
    assert 'name="index.1"' in found.text


def test_foreign_text_is_only_text(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop / "index0", tmp_path / "index")
    names = {HOSTILE: tmp_path / "index", "two": shop / "index1"}
    options: dict[str, Any] = {"models": {HOSTILE: shop / "model0"}}
    with client_of(shop, folders=names, **options) as client:
        columns = client.get("/v1/indexes").json()["indexes"][0]["columns"]
        document = {"doc_id": HOSTILE, "title": HOSTILE}
        assert set(document) <= {*columns, "doc_id"}
        sent = client.post("/v1/documents", json={"documents": [document], "index": HOSTILE})
        assert sent.status_code == 200, sent.text
        page = client.get("/compare", params={"q": HOSTILE, "k": "50"})
    parsed = Page(page.text)
    assert [set(one) for one in parsed.all("script")] == [{"src", "defer"}]
    assert not [name for _, found in parsed.tags for name in found if name.startswith("on")]
    assert not [found for _, found in parsed.tags if "style" in found]
    assert "x" not in [one.get("src") for one in parsed.all("img")]
    assert "\x1b" not in page.text
    assert "{{ 7*7 }}" in page.text
    assert page.text.count("alert(1)") > 3


def test_the_page_is_whole_light_and_read_in_order(client: TestClient) -> None:
    page = client.get("/compare", params={"q": "red mug"})
    parsed = Page(page.text)
    assert parsed.headings[:2] == [1, 2]
    assert set(parsed.headings) == {1, 2, 3}
    assert len(page.content) < 40_000
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = [one["href"] for one in parsed.all("a") if one.get("aria-current") == "page"]
    assert links == ["/compare"]
    assert client.get("/page/files/step.js").status_code == 200


def test_who_may_compare(shop: Path) -> None:
    key = "k" * 20
    with client_of(shop, folders=both_indexes(shop), keys=Keys.of({"read": [key]}, "t")) as client:
        assert client.get("/compare?q=red").status_code == 401
        assert client.get("/compare?q=red", auth=("anna", key)).status_code == 200
        link = {
            "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        }  # fmt: skip
        assert client.get("/compare?q=red", auth=("a", key), headers=link).status_code == 200
