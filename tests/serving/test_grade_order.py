"""What raters grade next: query sets of a file, orders of the queries, the agreement page."""

from __future__ import annotations

import html
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from rankfield.cli.main import main
from rankfield.errors import DataError
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.serving import Service
from rankfield.serving.acts import Act
from rankfield.serving.page.query_order import by_ndcg, ordered
from rankfield.serving.query_file import read_query_file
from rankfield.serving.rules import Rule
from rankfield.synthetic import sample_shop
from served_shop import both_indexes, client_of, index_twice, quiet


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ordered")
    data = sample_shop(root / "data", documents=40, queries=6, images=False)
    index_twice(root, data)
    return root


@pytest.fixture
def client(shop: Path, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(shop, folders=both_indexes(shop), data=tmp_path / "kept") as found:
        yield found


def queries_of(shop: Path) -> list[str]:
    ids: list[str] = RankingDataset.load(shop / "data").queries["query_id"].to_list()
    return ids


def rows(client: TestClient, **asked: str) -> list[tuple[str, str]]:
    """Return query and value of each row of the list, once all queries were searched for."""
    for _ in range(200):
        page = client.get("/grade", params={"rater": "anna", **asked})
        assert page.status_code == 200
        if "still searched for" not in page.text:
            break
        time.sleep(0.05)
    found = re.findall(r"query=([\w.-]+)\">.*?</th>(?:<td>(.*?)</td>)?<td>", page.text)
    return [(query, value) for query, value in found]


def give(client: TestClient, query: str, doc: str, score: float | None, rater: str) -> None:
    body: dict[str, Any] = {
        "query_id": query, "doc_id": doc, "score": score, "rater": rater, "query": "words",
        "found_by": [], "position": 1, "blind": True,
    }  # fmt: skip
    assert client.post("/grade/judgments", json=body).status_code == 200


def first(client: TestClient, shop: Path, query: str, index: str = "one") -> list[str]:
    """Return the ids that an index finds for a query."""
    queries = RankingDataset.load(shop / "data").queries
    text = queries.filter(pl.col("query_id") == query)["query"][0]
    body = {"query": text, "index": index, "limit": 10}
    return [hit["doc_id"] for hit in client.post("/v1/search", json=body).json()["hits"]]


def test_the_worst_query_is_first_and_those_without_grades_are_last(
    client: TestClient, shop: Path
) -> None:
    a, b, c, *others = queries_of(shop)
    for query, at in ((a, 0), (b, 3), (c, 9)):
        give(client, query, first(client, shop, query)[at], 100.0, "anna")
    expected = {a: "1.000", b: "0.431", c: "0.289"}  # 1 / log2(1 + rank)
    found = rows(client, sort="worst")
    assert found == [(q, expected[q]) for q in (c, b, a)] + [(q, "–") for q in others]
    # another rule, another order
    give(client, a, first(client, shop, a)[0], 1.0, "zoe")
    give(client, a, first(client, shop, a)[9], 100.0, "zoe")
    settled = dict(rows(client, sort="worst", settled="zoe"))
    assert float(settled[a]) < float(dict(rows(client, sort="worst"))[a])
    # n goes to the worst of the others that are not judged yet by this rater
    give(client, b, "x", None, "ben")
    for rater, following in (("new", b), ("ben", a)):
        page = client.get("/grade", params={"rater": rater, "query": c, "sort": "worst"}).text
        (after,) = re.findall(r'id="next" href="([^"]*)"', page)
        assert "sort=worst" in after
        assert after.endswith(f"query={following}")


def test_a_query_without_anything_good_counts_as_the_worst() -> None:
    grades = {
        (query, "d"): [Act(0, "", "anna", query, "d", score, None)]
        for query, score in (("bad", 0.0), ("good", 3.0), ("gone", 3.0))
    }
    found = {"bad": ["d"], "good": ["d"], "ungraded": ["d"]}
    values = by_ndcg(found, grades, Rule(), ScoreScale(0, 3, 1))
    assert values == {"bad": (0.0, "nothing good"), "good": (1.0, "1.000")}
    assert [one.query_id for one in ordered(["ungraded", *values], values, descending=False)] == [
        "bad",
        "good",
        "ungraded",
    ]
    assert by_ndcg({}, grades, Rule(), ScoreScale(0, 3, 1)) == {}


def test_the_most_disagreed_and_the_most_unjudged_are_first(client: TestClient, shop: Path) -> None:
    a, b, c, *others = queries_of(shop)
    for query, doc, scores in ((b, "x", (1.0, 26.0)), (c, "x", (1.0, 100.0)), (a, "x", (5.0, 5.0))):
        for rater, score in zip(("anna", "ben"), scores, strict=True):
            give(client, query, doc, score, rater)
    give(client, c, "y", 2.0, "anna")
    give(client, c, "y", 1.0, "ben")
    expected = [(c, "100 in 2"), (b, "25 in 1")] + [(q, "–") for q in (a, *others)]
    assert rows(client, sort="disagreed") == expected

    pool = {*first(client, shop, b), *first(client, shop, b, "two")}
    for doc in sorted(pool)[1:]:
        give(client, b, doc, 5.0, "anna")
    give(client, b, sorted(pool)[0], None, "anna")  # cannot say: it is still without a grade
    found = rows(client, sort="unjudged")
    assert found[-1] == (b, f"1 of {len(pool)}")
    assert [query for query, _ in found[:-1]] == [a, c, *others]


def test_an_order_is_kept_while_it_is_looked_at_and_known_anew_after_a_write(
    client: TestClient, shop: Path
) -> None:
    found = rows(client, sort="unjudged")
    assert rows(client, sort="unjudged") == found
    service = client.app_state["service"]
    searcher = service.indexes["one"].current().searcher
    search = searcher.search
    asked: list[object] = []

    def counted(query: object) -> Any:
        asked.append(query)
        return search(query)

    searcher.search = counted
    rows(client, sort="unjudged")
    assert not asked
    document = {"doc_id": "new", "title": "red mug"}
    written = client.post("/v1/documents", json={"index": "one", "documents": [document]})
    assert written.status_code == 200, written.text
    rows(client, sort="unjudged")
    assert len(asked) == 6
    client.request("DELETE", "/v1/documents", json={"index": "one", "ids": ["new"]})


def test_a_list_is_shown_at_once_while_queries_are_searched_for(
    client: TestClient, shop: Path
) -> None:
    service = client.app_state["service"]
    searcher = service.indexes["one"].current().searcher
    search = searcher.search

    def slow(query: object) -> Any:
        time.sleep(0.4)
        return search(query)

    searcher.search = slow
    start = time.perf_counter()
    page = client.get("/grade", params={"rater": "anna", "sort": "unjudged"}).text
    assert time.perf_counter() - start < 2
    assert "6 without a value are last" in page
    assert "6 are still searched for" in page
    listed = re.findall(r"query=([\w.-]+)\">", page)
    assert sorted(listed) == sorted(queries_of(shop))


def test_raters_see_where_they_disagree_and_settle_it(client: TestClient, shop: Path) -> None:
    a, b, *_ = queries_of(shop)
    here = RankingDataset.load(shop / "data").documents["doc_id"].to_list()
    found = first(client, shop, a)
    away = next(doc for doc in here if doc not in {*found, *first(client, shop, a, "two")})
    for doc, scores in ((found[0], (100.0, 75.25)), (away, (1.0, 100.0)), (found[1], (50.5, 50.5))):
        for rater, score in zip(("anna", "ben"), scores, strict=True):
            give(client, a, doc, score, rater)
    give(client, b, found[2], None, "anna")
    give(client, b, found[2], 1.0, "ben")
    page = client.get("/agreement", params={"rater": "zoe", "rule": "median"}).text
    assert "4 pairs are graded, 3 by two raters or more" in page
    assert re.search(r"anna and ben</th><td>3</td><td>-?0\.\d{3}</td>", page)
    links = [html.unescape(one) for one in re.findall(r'row"><a href="([^"]*)"', page)]
    assert [re.findall(r"doc=([\w.-]+)", one)[0] for one in links] == [away, found[0]]
    assert "rankfield grades DATA grades.parquet --rule median" in page
    # the document is there to grade, although no model finds it among its first
    again = client.get(links[0]).text
    assert f'data-doc="{away}"' in again
    assert f'data-begin="{away}"' in again
    give(client, a, away, 26.0, "zoe")
    page = client.get("/agreement", params={"rater": "zoe", "settled": "zoe"}).text
    assert '26<span class="details muted">settled by zoe</span>' in page
    assert "--settled-by zoe" in page
    hostile = '"><script>alert(1)</script>'
    page = client.get("/agreement", params={"rater": hostile, "settled": hostile}).text
    assert "<script>alert" not in page


def test_without_a_name_a_link_to_a_query_asks_for_it_and_goes_on(client: TestClient) -> None:
    asked = {"query": "q1", "doc": "d1", "sort": "worst"}
    page = client.get("/grade", params=asked).text
    for name, value in asked.items():
        assert f'type="hidden" name="{name}" value="{value}"' in page
    for wrong in ({"sort": "best"}, {"rule": "loudest"}):
        assert client.get("/grade", params=wrong).status_code == 422


def test_queries_of_a_file_have_the_ids_of_the_data_set_or_are_their_own(
    shop: Path, tmp_path: Path
) -> None:
    known = RankingDataset.load(shop / "data").queries
    path = tmp_path / "queries.csv"
    path.write_text(f"Query\n{known['query'][2]}\nteapot & cup\n")
    with client_of(
        shop, folders=both_indexes(shop), data=tmp_path / "kept", queries=path
    ) as client:
        page = client.get("/grade", params={"rater": "anna"}).text
        assert "2 queries" in page
        assert f"query={known['query_id'][2]}" in page
        assert "query=teapot+%26+cup" in page
        asked = client.get("/grade", params={"rater": "anna", "query": "teapot & cup"}).text
        assert "<h1>teapot &amp; cup</h1>" in asked
        assert asked.count("data-doc=") >= 10


@pytest.mark.parametrize(
    ("content", "message", "row"),
    [
        ("text,price\nmug,1\n\n,2\n", "expected a value, found nothing", 4),
        ("query\nmug\ncup\nmug\n", "'mug' is duplicated", 4),
        ("query_id,query\n1,mug\n1,cup\n", "'1' is duplicated", 3),
        ("query_id,query\n1,mug\n,cup\n", "expected a value, found nothing", 3),
        (f"query\nmug\n{'m' * 1001}\n", "at most 1,000 characters", 3),
    ],
)
def test_a_bad_row_of_a_file_is_named(tmp_path: Path, content: str, message: str, row: int) -> None:
    path = tmp_path / "queries.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_query_file(path)
    assert f"{path}, row {row}" in caught.value.where


def test_ids_may_be_numbers_and_texts_may_not(tmp_path: Path) -> None:
    path = tmp_path / "queries.parquet"
    pl.DataFrame({"id": [7, 8], "search term": ["mug", "cup"]}).write_parquet(path)
    found = read_query_file(path)
    assert [(one.query_id, one.text) for one in found] == [("7", "mug"), ("8", "cup")]
    for column in ([b"mug"], [["mug"]], [1.5]):
        pl.DataFrame({"query": column}).write_parquet(path)
        with pytest.raises(DataError, match="expected texts"):
            read_query_file(path)


def test_files_that_cannot_be_served_end_with_a_message(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = queries_of(shop)[0]
    for content, message in (
        ("price\n1\n", "column 'query' is missing"),
        (f"query_id,query\n{known},another text\n", f"the query '{known}' of the data set is"),
    ):
        path = tmp_path / "queries.csv"
        path.write_text(content)
        words = ["rankfield", "serve", str(shop / "index0"), "--port", "0", "--queries", str(path)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(DataError, match="no such file"):
        Service({"one": shop / "index0"}, queries=tmp_path / "nowhere.csv", log=quiet())
