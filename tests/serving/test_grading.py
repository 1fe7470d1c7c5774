"""The grading page: pools, judgments that last, undo, several raters at once."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rankfield.errors import DataError
from rankfield.schema import ScoreScale
from rankfield.serving import latest_judgments
from rankfield.serving.page.query_set import levels
from rankfield.synthetic import sample_shop
from served_shop import both_indexes, client_of, index_twice


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("graded")
    data = sample_shop(root / "data", documents=40, queries=6, images=False)
    index_twice(root, data)
    return root


@pytest.fixture
def client(shop: Path, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(shop, folders=both_indexes(shop), data=tmp_path / "kept") as found:
        yield found


def pooled(client: TestClient, rater: str, query: str, **more: str) -> list[tuple[str, Any]]:
    """Return the ids of the documents of a page, with where they were found."""
    page = client.get("/grade", params={"rater": rater, "query": query, **more})
    assert page.status_code == 200
    found = re.findall(r'data-doc="([^"]*)" data-found="([^"]*)"', page.text)
    return [(doc, json.loads(html.unescape(seen))) for doc, seen in found]


def first_query(client: TestClient) -> str:
    page = client.get("/grade", params={"rater": "anna"}).text
    found: list[str] = re.findall(r"query=([\w-]+)", page)
    return found[0]


def judgment(query: str, doc: str, score: float | None, rater: str, **more: Any) -> dict[str, Any]:
    return {
        "query_id": query, "doc_id": doc, "score": score, "rater": rater, "query": "words",
        "found_by": [], "position": 1, "blind": True, **more,
    }  # fmt: skip


def scores(kept: Path) -> list[tuple[Any, ...]]:
    return latest_judgments(kept).select("query_id", "doc_id", "score", "raters").rows()


def give(
    client: TestClient, query: str, doc: str, score: float | None, rater: str = "anna"
) -> None:
    body = judgment(query, doc, score, rater)
    assert client.post("/grade/judgments", json=body).status_code == 200


def test_the_pool_is_what_all_models_find_in_an_order_of_its_own(client: TestClient) -> None:
    query = first_query(client)
    found = dict(pooled(client, "anna", query, k="5"))
    text = client.get("/grade", params={"rater": "anna", "query": query}).text
    (title,) = re.findall(r"<h1>(.*?)</h1>", text)
    for name in ("one", "two"):
        body = {"query": html.unescape(title), "index": name, "limit": 5}
        answer = client.post("/v1/search", json=body).json()
        for hit in answer["hits"]:
            seen = {"index": name, "rank": hit["rank"]}
            seen |= {key: answer[key] for key in ("index_version", "model_fingerprint")}
            assert seen in found[hit["doc_id"]]
    assert sum(len(seen) for seen in found.values()) == 10
    orders = [[doc for doc, _ in pooled(client, who, query, k="20")] for who in ("anna", "ben")]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert orders[0] == [doc for doc, _ in pooled(client, "anna", query, k="20")]
    ranks = [
        min(one["rank"] for one in seen)
        for _, seen in pooled(client, "anna", query, k="20", blind="0")
    ]
    assert ranks == sorted(ranks)


def test_a_judgment_is_kept_with_where_it_was_seen(client: TestClient, tmp_path: Path) -> None:
    query = first_query(client)
    doc, seen = pooled(client, "anna", query)[0]
    body = judgment(query, doc, 100.0, "anna", found_by=seen, position=1)
    answer = client.post("/grade/judgments", json=body).json()
    (line,) = (tmp_path / "kept" / "judgments.jsonl").read_text().splitlines()
    kept = json.loads(line)
    best = min(seen, key=lambda one: one["rank"])
    assert kept.items() >= {**body, **best, "verdict": "grade", **answer}.items()
    assert kept["time"]
    assert scores(tmp_path / "kept") == [(query, doc, 100.0, 1)]
    page = client.get("/grade", params={"rater": "anna", "query": query}).text
    assert page.count('aria-pressed="true"') == 1
    assert 'aria-pressed="true">4<' in page
    other = client.get("/grade", params={"rater": "ben", "query": query}).text
    assert 'aria-pressed="true"' not in other


def test_undo_goes_back_step_by_step_and_survives_a_restart(shop: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with client_of(shop, folders=both_indexes(shop), data=kept) as client:
        query = first_query(client)
        give(client, query, "a", 1.0)
        give(client, query, "a", 100.0)
        give(client, query, "b", None)
        give(client, query, "b", 25.75, rater="ben")
        assert scores(kept) == [(query, "a", 100.0, 1), (query, "b", 25.75, 1)]
    with client_of(shop, folders=both_indexes(shop), data=kept) as client:
        undone = client.post("/grade/undo", json={"rater": "anna"}).json()
        assert undone == {"query_id": query, "doc_id": "b", "judged": False, "score": None}
        undone = client.post("/grade/undo", json={"rater": "anna"}).json()
        assert undone == {"query_id": query, "doc_id": "a", "judged": True, "score": 1.0}
        assert scores(kept) == [(query, "a", 1.0, 1), (query, "b", 25.75, 1)]
        assert client.post("/grade/undo", json={"rater": "anna"}).json()["judged"] is False
        assert scores(kept) == [(query, "b", 25.75, 1)]
        assert client.post("/grade/undo", json={"rater": "anna"}).status_code == 404
        give(client, query, "a", 50.5)
        assert latest_judgments(kept).height == 2


def test_raters_at_once_lose_nothing(client: TestClient, tmp_path: Path) -> None:
    query = first_query(client)
    raters = [f"rater{i}" for i in range(6)]

    def work(rater: str) -> None:
        for i in range(15):
            give(client, query, f"d{i}", float(i), rater)
        client.post("/grade/undo", json={"rater": rater})

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, raters))
    lines = (tmp_path / "kept" / "judgments.jsonl").read_text().splitlines()
    assert len(lines) == 6 * 16
    found = sorted(scores(tmp_path / "kept"), key=lambda one: one[2])
    assert found == [(query, f"d{i}", float(i), 6) for i in range(14)]
    page = client.get("/grade", params={"rater": "rater0"}).text
    assert "<td>14</td><td>84</td>" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": "1"},
        {"rater": " "},
        {"rater": ""},
        {"position": 0},
        {"found_by": [{"index": "one"}]},
        {"further": 1},
    ],
)
def test_wrong_judgments_are_refused(
    client: TestClient, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    body = judgment("q", "d", 1.0, "anna") | wrong
    assert client.post("/grade/judgments", json=body).status_code == 422
    assert (tmp_path / "kept" / "judgments.jsonl").read_text() == ""


def test_what_cannot_be_shown_is_said(client: TestClient, shop: Path) -> None:
    found = client.get("/grade", params={"rater": "anna", "query": "<b>absent</b>"})
    assert found.status_code == 404
    assert "&lt;b&gt;absent" in found.text
    assert "<b>" not in found.text
    with client_of(shop, folders=both_indexes(shop)) as without:
        found = without.get("/grade")
        assert found.status_code == 404
        assert "--data FOLDER" in found.text


def test_foreign_names_are_only_text(client: TestClient) -> None:
    hostile = '"><script>alert(1)</script>'
    query = first_query(client)
    for more in ({}, {"query": query}):
        page = client.get("/grade", params={"rater": hostile, **more})
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert len(page.content) < 60_000
        assert "http" not in re.sub(r"Skip to", "", page.text)


def test_digits_are_the_scores_of_a_small_scale_or_five_steps() -> None:
    small = ScoreScale(minimum=0, maximum=3, relevant=1)
    assert levels(small) == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    large = ScoreScale(minimum=1, maximum=101, relevant=1)
    assert levels(large) == [(0, 1.0), (1, 26.0), (2, 51.0), (3, 76.0), (4, 101.0)]


def test_strange_lines_of_judgments_are_named_and_one_cut_off_is_passed_over(
    tmp_path: Path,
) -> None:
    path, good = tmp_path / "judgments.jsonl", b'{"query_id": "q", "doc_id": "d", "score": 2}\n'
    with pytest.raises(DataError, match="no such file"):
        latest_judgments(tmp_path)
    path.write_bytes(good + b'{"query_id": "q", "doc')
    assert scores(tmp_path) == [("q", "d", 2.0, 1)]
    for line in (b"[]", b"{}", b"x", b"\xff", good.replace(b"2", b"NaN").strip()):
        path.write_bytes(good + line + b"\n")
        with pytest.raises(DataError, match="expected a judgment") as caught:
            latest_judgments(tmp_path)
        assert caught.value.where == f"{path}, line 2"
