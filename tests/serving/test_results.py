"""Snapshots: what they keep, that they stay as they are, and what pairs of them show."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from parsed_page import Page
from rankfield.encoders import RankingModel
from rankfield.errors import ImageError
from rankfield.evaluation import Results, compare, paired_test
from rankfield.index import build_index
from rankfield.schema import RankingDataset
from rankfield.serving import Limits
from rankfield.serving.keys import Keys
from rankfield.serving.page.line_plot import Value, line_plot
from rankfield.synthetic import sample_shop
from served_shop import both_indexes, client_of, index_twice
from tiny_models import tiny_clip

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b{{ 7*7 }}'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("measured")
    data = sample_shop(root / "data", documents=60, queries=12, images=False)
    some = data.queries["query_id"].sort()[:9].to_list()
    judgments = data.judgments.filter(pl.col("query_id").is_in(some))
    RankingDataset(
        "shop", data.query_fields, data.document_fields, data.score_scale, data.queries,
        data.documents, judgments,
    ).save(root / "data", overwrite=True)  # fmt: skip
    data = RankingDataset.load(root / "data")
    index_twice(root, data)
    return root


@pytest.fixture
def client(shop: Path, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(shop, folders=both_indexes(shop), data=tmp_path / "kept") as found:
        yield found


def take(client: TestClient, index: str, **more: Any) -> str:
    """Take a snapshot and return its id."""
    begun = client.post("/results/snapshots", json={"index": index, **more})
    assert begun.status_code == 202, begun.text
    state = ended(client)
    assert state["job"] == begun.json()["job"]
    assert state["error"] is None
    assert state["done"] == state["total"] == begun.json()["queries"]
    found: str = state["snapshot"]
    return found


def ended(client: TestClient) -> dict[str, Any]:
    """Wait for the end of the snapshot that is being taken."""
    end = time.monotonic() + 60
    while (state := client.get("/results/job").json())["runs"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    return dict(state)


def judge(client: TestClient, query: str, doc: str, score: float) -> None:
    judgment = {"query_id": query, "doc_id": doc, "score": score, "rater": "ann"}
    sent = client.post("/v1/judgments", json={"judgments": [judgment]})
    assert sent.status_code == 200


def test_a_snapshot_is_the_evaluation_of_the_same_rankings(
    client: TestClient, shop: Path, tmp_path: Path
) -> None:
    from rankfield.evaluation import IndexRanker, evaluate
    from rankfield.index import index_model, open_index

    snapshot = take(client, "two", note="a first try")
    folder = tmp_path / "kept" / "snapshots" / snapshot
    found = Results.load(folder / "results.json")
    index = open_index(shop / "index1")
    expected = evaluate(IndexRanker(index_model(index), index), RankingDataset.load(shop / "data"))
    for metric, mean in found.splits["all"].items():
        same = expected.splits["all"].get(metric)
        if same is not None:
            assert mean.value == pytest.approx(same.value)
            assert (mean.queries, mean.low, mean.high) == (same.queries, same.low, same.high)
    assert {"nDCG@10", "ERR@10", "RBP@10"} <= set(found.splits["all"])
    inputs = found.metadata["snapshot"]
    assert inputs["index_version"] == index.version
    assert inputs["model_fingerprint"] == index.metadata.model_fingerprint
    assert (inputs["asked"], inputs["of"], inputs["note"]) == (9, 9, "a first try")
    (words,) = RankingDataset.load(shop / "data").queries.filter(
        query_id=found.queries["query_id"][0]
    )["query"]
    body = {"query": words, "index": "two", "limit": 100}
    hits = client.post("/v1/search", json=body).json()["hits"]
    kept = found.rankings.filter(query_id=found.queries["query_id"][0]).sort("rank")
    assert kept["doc_id"].to_list() == [hit["doc_id"] for hit in hits]
    grades = pl.read_parquet(folder / "grades.parquet")
    given = RankingDataset.load(shop / "data").judgments
    assert grades.height == given.height
    for path in folder.iterdir():
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_snapshots_stay_as_they_are_over_restarts(shop: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with client_of(shop, folders=both_indexes(shop), data=kept) as client:
        first = take(client, "one")
        folder = kept / "snapshots"
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        second = take(client, "one")
    assert first != second
    left = folder / f".{first[:-1]}0.1234abcd-99999999-x"
    left.mkdir()
    assert {path: path.read_bytes() for path in before} == before
    with client_of(shop, folders=both_indexes(shop), data=kept) as client:
        page = client.get("/results")
        assert page.text.count('name="first"') == 2
        assert not left.exists()
    frames = [Results.load(folder / one / "results.json") for one in (first, second)]
    assert frames[0].rankings.equals(frames[1].rankings)
    hashes = [one.metadata["snapshot"] for one in frames]
    for key in ("query_set", "judgments", "index_version", "model_fingerprint"):
        assert hashes[0][key] == hashes[1][key]
    # what is kept compares as any evaluation does
    assert compare(frames).tests["difference"].to_list() == [0.0] * 8


def test_settings_all_queries_and_raters_grades_count(client: TestClient, tmp_path: Path) -> None:
    plain, hybrid = take(client, "one"), take(client, "one", hybrid=True, queries="all")
    files = [tmp_path / "kept" / "snapshots" / one / "results.json" for one in (plain, hybrid)]
    before, after = (Results.load(file) for file in files)
    assert (before.queries.height, after.queries.height) == (9, 12)
    assert after.queries["nDCG@10"].null_count() == 3
    assert after.splits["all"]["nDCG@10"].queries == 9
    assert after.model == "one, with BM25"
    assert not before.rankings.equals(after.rankings)
    unjudged = after.queries.filter(pl.col("nDCG@10").is_null())["query_id"][0]
    doc = after.rankings.filter(query_id=unjudged, rank=1)["doc_id"][0]
    judge(client, unjudged, doc, 90.0)
    third = take(client, "one")
    found = Results.load(tmp_path / "kept" / "snapshots" / third / "results.json")
    assert found.queries.filter(query_id=unjudged)["R@100"].to_list() == [1.0]
    assert found.metadata["snapshot"]["by_raters"] == 1
    for key in ("query_set", "judgments"):
        assert found.metadata["snapshot"][key] != before.metadata["snapshot"][key]


def test_two_are_paired_by_query(client: TestClient, tmp_path: Path) -> None:
    ids = [take(client, name) for name in ("one", "two")]
    files = [tmp_path / "kept" / "snapshots" / one / "results.json" for one in ids]
    frames = [Results.load(file).queries.sort("query_id") for file in files]
    values = [frame["nDCG@10"].to_numpy() for frame in frames]
    test = paired_test(*values)
    page = client.get("/results", params={"first": ids[0], "second": ids[1]})
    assert page.status_code == 200
    assert 'role="alert"' not in page.text
    (row,) = re.findall(r"<tr><th[^>]*><a[^>]*>nDCG@10</a>.*?</tr>", page.text)
    assert f"<td>{values[0].mean():.3f}</td><td>{values[1].mean():.3f}</td>" in row
    assert f"{test.difference.value:+.3f}" in row
    assert f"{test.difference.low:+.3f} to {test.difference.high:+.3f}" in row
    assert f"<td>{test.better}, {test.worse}, {test.equal}</td>" in row
    shown = re.findall(r'<td><span class="\w*">([+-][\d.]+)</span></td></tr>', page.text)
    expected = sorted(values[1] - values[0])
    assert [float(one) for one in shown] == pytest.approx(expected, abs=6e-4)
    best = client.get("/results", params={"first": ids[0], "second": ids[1], "order": "best"})
    again = re.findall(r'<td><span class="\w*">([+-][\d.]+)</span></td></tr>', best.text)
    assert again == sorted(shown, key=float, reverse=True)
    # a query's results side by side are one link away
    links = re.findall(r'href="(/compare\?query=[^"]*)"', page.text)
    assert len(links) == 9
    assert client.get(html.unescape(links[0])).status_code == 200


def test_different_inputs_are_said_and_only_common_queries_are_paired(
    client: TestClient, tmp_path: Path
) -> None:
    first = take(client, "one")
    results = Results.load(tmp_path / "kept" / "snapshots" / first / "results.json")
    query = results.queries["query_id"][0]
    doc = results.rankings.filter(query_id=query, rank=1)["doc_id"][0]
    judge(client, query, doc, 77.0)
    second = take(client, "one")
    third = take(client, "one", queries="all")
    page = client.get("/results", params={"first": first, "second": second}).text
    assert re.findall(r'role="alert">(The [\w ]+):', page) == ["The judgments differ"]
    assert "differs" in page
    page = client.get("/results", params={"first": first, "second": third}).text
    assert re.findall(r'role="alert">(The [\w ]+)', page) == [
        "The query sets differ", "The judgments differ",
    ]  # fmt: skip
    assert "3 only in the second" in page
    assert "9 queries" in page


def test_without_a_common_query_nothing_is_paired(client: TestClient, tmp_path: Path) -> None:
    first = take(client, "one")
    folder = tmp_path / "kept" / "snapshots"
    other = f"{first[:-1]}{'0' if first[-1] != '0' else '1'}"
    shutil.copytree(folder / first, folder / other)
    for name in ("queries", "rankings"):
        path = folder / other / f"results.{name}.parquet"
        frame = pl.read_parquet(path).with_columns(query_id=pl.lit("x-") + pl.col("query_id"))
        path.chmod(0o644)
        frame.write_parquet(path)
    page = client.get("/results", params={"first": first, "second": other})
    assert page.status_code == 422
    assert "no query in common" in page.text


def test_of_too_many_queries_the_same_ones_are_asked(shop: Path, tmp_path: Path) -> None:
    limits = Limits(snapshot=4, snapshots=2)
    kept = tmp_path / "kept"
    with client_of(shop, folders=both_indexes(shop), data=kept, limits=limits) as client:
        ids = [take(client, name) for name in ("one", "two")]
        full = client.post("/results/snapshots", json={"index": "one"})
        assert full.status_code == 409
        assert "2 snapshots" in full.json()["error"]["message"]
        page = client.get("/results").text
        assert page.count("<td>4 of 9</td>") == 2
    asked = [
        Results.load(kept / "snapshots" / one / "results.json").queries["query_id"].to_list()
        for one in ids
    ]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 4


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"index": "absent"}, 404),
        ({"index": 3}, 422),
        ({}, 422),
        ({"index": "one", "diversity": 2.0}, 422),
        ({"index": "one", "queries": "some"}, 422),
        ({"index": "one", "note": "x" * 201}, 422),
        ({"index": "one", "further": 1}, 422),
    ],
)
def test_wrong_snapshots_are_refused(
    client: TestClient, tmp_path: Path, wrong: dict[str, Any], status: int
) -> None:
    assert client.post("/results/snapshots", json=wrong).status_code == status
    assert not (tmp_path / "kept" / "snapshots").exists()
    assert client.get("/results/job").status_code == 404


def test_without_judgments_there_is_nothing_to_measure(tmp_path: Path) -> None:
    data = sample_shop(tmp_path / "data", documents=20, queries=3, images=False)
    data.judgments = data.judgments.clear()
    data.save(tmp_path / "data", overwrite=True)
    model = RankingModel.from_pretrained(tiny_clip(tmp_path / "clip"), dataset=data, device="cpu")
    model.save(tmp_path / "model")
    build_index(tmp_path / "model", data, tmp_path / "index")
    with client_of(tmp_path, data=tmp_path / "kept") as client:
        found = client.post("/results/snapshots", json={"index": "shop"})
        assert found.status_code == 422
        assert "judged" in found.json()["error"]["message"]
        page = client.get("/results")
        assert "no snapshot yet" in page.text


def test_an_index_that_changes_meanwhile_gives_no_snapshot(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    opened = client.app_state["service"].indexes["one"].current()
    search, numbers = opened.searcher.search, itertools.count()

    def changed(query: Any) -> Any:
        number, answer = next(numbers), search(query)
        return replace(answer, index_version="another") if number == 5 else answer

    monkeypatch.setattr(opened.searcher, "search", changed)
    assert client.post("/results/snapshots", json={"index": "one"}).status_code == 202
    assert "was written" in ended(client)["error"]
    assert not (tmp_path / "kept" / "snapshots").exists()


def test_a_query_that_cannot_be_asked_is_named(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = client.app_state["service"].indexes["one"].current()
    search, numbers = opened.searcher.search, itertools.count()

    def fails(query: Any) -> Any:
        if next(numbers) == 3:
            raise ImageError("no such image", where=f"{tmp_path}/kept/secret.png")
        return search(query)

    monkeypatch.setattr(opened.searcher, "search", fails)
    assert client.post("/results/snapshots", json={"index": "one"}).status_code == 202
    said = ended(client)["error"]
    assert re.match(r"the query 'q\w+' cannot be asked: no such image", said)
    assert str(tmp_path) not in said
    assert not (tmp_path / "kept" / "snapshots").exists()


def test_one_at_a_time_and_other_requests_go_on(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    opened = client.app_state["service"].indexes["one"].current()
    search, go = opened.searcher.search, threading.Event()

    def waits(query: Any) -> Any:
        assert go.wait(30)
        return search(query)

    monkeypatch.setattr(opened.searcher, "search", waits)
    assert client.post("/results/snapshots", json={"index": "one"}).status_code == 202
    busy = client.post("/results/snapshots", json={"index": "two"})
    assert (busy.status_code, busy.headers["retry-after"]) == (409, "5")
    assert client.post("/v1/search", json={"query": "red", "index": "two"}).status_code == 200
    page = client.get("/results").text
    assert f'data-job="{client.get("/results/job").json()["job"]}"' in page
    go.set()
    assert ended(client)["snapshot"]


def test_a_service_that_stops_keeps_no_half(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    with client_of(shop, folders=both_indexes(shop), data=kept) as client:
        service = client.app_state["service"]
        opened = service.indexes["one"].current()
        search = opened.searcher.search

        def stops(query: Any) -> Any:
            service.ready = False
            return search(query)

        monkeypatch.setattr(opened.searcher, "search", stops)
        assert client.post("/results/snapshots", json={"index": "one"}).status_code == 202
        assert "stops" in ended(client)["error"]
    assert not (kept / "snapshots").exists()


def test_damaged_and_foreign_snapshots_are_named(client: TestClient, tmp_path: Path) -> None:
    good = take(client, "one")
    folder = tmp_path / "kept" / "snapshots"
    (folder / "notes.txt").write_text("mine")
    for at, text in enumerate(("", "{}", "[]", json.dumps({"splits": {"all": {}}}))):
        place = folder / f"20260101T00000{at}000000Z-00000000"
        place.mkdir()
        (place / "results.json").write_text(text)
    page = client.get("/results")
    assert page.status_code == 200
    assert page.text.count("cannot be read") == 4
    assert page.text.count('name="first"') == 1
    for damaged in (
        "20260101T000001000000Z-00000000",
        "../../etc",
        "20260101T000009000000Z-00000000",
    ):
        for more in ({}, {"second": good}):
            found = client.get("/results", params={"first": damaged, **more})
            assert found.status_code == 422
            assert str(tmp_path) not in found.text


def test_foreign_text_is_only_text(shop: Path, tmp_path: Path) -> None:
    names = {HOSTILE: shop / "index0", "two": shop / "index1"}
    options: dict[str, Any] = {"models": {HOSTILE: shop / "model0"}}
    with client_of(shop, folders=names, data=tmp_path / "kept", **options) as client:
        ids = [take(client, name, note=HOSTILE) for name in names]
        pages = [
            client.get("/results"),
            client.get("/results", params={"first": ids[0]}),
            client.get("/results", params={"first": ids[0], "second": ids[1]}),
            client.get("/results", params={"first": HOSTILE[:40]}),
        ]
    for page in pages:
        parsed = Page(page.text)
        assert [set(one) for one in parsed.all("script")] == [{"src", "defer"}]
        assert not [name for _, found in parsed.tags for name in found if name.startswith("on")]
        assert not [found for _, found in parsed.tags if "style" in found]
        assert not parsed.all("img")
        assert "\x1b" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_who_may_look_and_who_may_take(shop: Path, tmp_path: Path) -> None:
    read, write = "r" * 20, "w" * 20
    keys = Keys.of({"read": [read], "write": [write]}, "test")
    kept = tmp_path / "kept"
    with client_of(shop, folders=both_indexes(shop), data=kept, keys=keys) as client:
        assert client.get("/results").status_code == 401
        assert client.get("/results", auth=("anna", read)).status_code == 200
        body = {"index": "one"}
        asked = client.post("/results/snapshots", json=body, auth=("anna", read))
        assert asked.status_code == 401
        foreign = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
        sent = client.post("/results/snapshots", json=body, auth=("a", write), headers=foreign)
        assert sent.status_code == 403
        form = client.post("/results/snapshots", data=body, auth=("anna", write))
        assert form.status_code == 415
        begun = client.post("/results/snapshots", json=body, auth=("anna", write))
        assert begun.status_code == 202
        while client.get("/results/job", auth=("anna", read)).json()["runs"]:
            time.sleep(0.02)


def test_without_a_folder_that_is_said(shop: Path) -> None:
    with client_of(shop, folders=both_indexes(shop)) as client:
        found = client.get("/results")
        assert found.status_code == 404
        assert "--data FOLDER" in found.text
        assert client.post("/results/snapshots", json={"index": "one"}).status_code == 404
    with client_of(shop, folders=both_indexes(shop)) as client:
        assert client.get("/results?metric=nonsense").status_code == 422


def test_the_plot_joins_what_compares() -> None:
    values = [
        Value(0, 0.5, 0.4, 0.6, joined=False),
        Value(1, 0.6, None, None, joined=True),
        Value(3, 0.55, None, None, joined=False),
    ]
    plot = line_plot([values], 4)
    assert plot is not None
    first, second, third = plot.series[0]
    assert second.before == (first.x, first.y)
    assert third.before is None
    assert first.low is not None
    assert first.high is not None
    assert first.low > first.y > first.high > 0  # down is more
    assert second.y < third.y < first.y
    assert first.x < second.x < third.x
    labels = [float(label) for label, _ in plot.ticks]
    assert labels[0] <= 0.4
    assert labels[-1] >= 0.6
    assert labels == sorted(set(labels))
    assert line_plot([[]], 0) is None
    same = line_plot([[Value(0, 0.0, None, None, joined=False)]], 1)
    assert same is not None
    assert len(same.ticks) > 1
