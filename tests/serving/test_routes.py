"""Every route: what it answers, and that it is what the library answers."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from rankfield.encoders import RankingModel
from rankfield.index import index_model, open_index
from rankfield.query import Query, Searcher
from rankfield.serving import latest_judgments
from served_shop import N, client_of, image_uri, made_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    made_shop(root)
    return root


@pytest.fixture(scope="module")
def model(shop: Path) -> RankingModel:
    return index_model(open_index(shop / "index"))


@pytest.fixture(scope="module")
def client(shop: Path) -> Iterator[TestClient]:
    with client_of(shop) as found:
        yield found


@pytest.fixture
def writable(shop: Path, tmp_path: Path) -> Iterator[TestClient]:
    shutil.copytree(shop / "index", tmp_path / "index")
    folders = {"shop": tmp_path / "index"}
    options: dict[str, Any] = {"models": {"shop": shop / "model"}, "data": tmp_path / "data"}
    with client_of(shop, folders=folders, **options) as found:
        yield found


def test_search_answers_what_the_searcher_answers(
    client: TestClient, shop: Path, model: RankingModel
) -> None:
    values = {
        "query": [
            {"text": "red ball"},
            {"image": image_uri((200, 10, 10)), "weight": 0.5},
            {"like": "d07", "weight": -0.2},
        ],
        "filter": "price > 3",
        "limit": 5,
        "count": True,
        "explain": True,
    }
    found = client.post("/v1/search", json={**values, "index": "shop"}).json()
    index = open_index(shop / "index")
    expected = Searcher(index, model).search(Query.of(values)).to_json()
    assert [hit["doc_id"] for hit in found["hits"]] == [h["doc_id"] for h in expected["hits"]]
    assert found["matching"] == expected["matching"] == N - 4 - 1  # d07 itself is left out
    for hit, same in zip(found["hits"], expected["hits"], strict=True):
        assert hit["score"] == pytest.approx(same["score"], abs=1e-6)
        assert abs(sum(t["adds"] for t in hit["explanation"]["terms"]) - hit["score"]) < 1e-6
    assert found["index_version"] == index.version
    assert found["model_fingerprint"] == index.metadata.model_fingerprint
    assert len(found["query_id"]) == 32
    assert set(found["timings_ms"]) == {"embed", "store", "rescore", "total"}


def test_pages_neither_repeat_nor_drop(client: TestClient) -> None:
    body: dict[str, Any] = {"query": "blue box", "limit": 7}
    seen: list[str] = []
    while True:
        page = client.post("/v1/search", json=body).json()
        seen += [hit["doc_id"] for hit in page["hits"]]
        if page["cursor"] is None:
            break
        body["cursor"] = page["cursor"]
    assert sorted(seen) == [f"d{i:02d}" for i in range(N)]


def test_a_batch_has_an_answer_or_an_error_for_each(client: TestClient) -> None:
    queries = [{"query": "red", "query_id": "mine"}, {"query": "red", "filter": "nothing ="}, 5]
    found = client.post("/v1/search/batch", json={"queries": queries}).json()["answers"]
    single = client.post("/v1/search", json=queries[0]).json()
    assert found[0]["query_id"] == "mine"
    assert found[0]["hits"] == single["hits"]
    assert found[1]["error"]["param"] == "filter"
    assert found[2]["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("side", ["query", "document"])
def test_embeddings_are_the_models(client: TestClient, model: RankingModel, side: str) -> None:
    encode = model.encode_queries if side == "query" else model.encode_documents
    body = {"input": "red ball", "encoding_format": "base64", "input_type": side}
    found = client.post("/v1/embeddings", json=body).json()
    vector = np.frombuffer(base64.b64decode(found["data"][0]["embedding"]), "<f4")
    field = "query" if side == "query" else "title"
    assert (vector == encode([{field: "red ball"}])[0]).all()
    numbers = client.post("/v1/embeddings", json={**body, "encoding_format": "float"}).json()
    assert (np.array(numbers["data"][0]["embedding"], np.float32) == vector).all()
    assert found["object"] == "list"
    assert found["usage"]["total_tokens"] > 2


def test_embeddings_of_lists_images_and_fewer_dimensions(
    client: TestClient, model: RankingModel
) -> None:
    uri = image_uri((1, 2, 200))
    inputs = ["red", {"text": "blue"}, {"image": uri}, {"text": "blue", "image": uri}]
    body = {"input": inputs, "dimensions": 6, "model": "shop"}
    found = client.post("/v1/embeddings", json=body).json()["data"]
    image = base64.b64decode(uri.partition(",")[2])
    records = ["red", "blue", {"image": image}, {"query": "blue", "image": image}]
    expected = model.encode_queries(
        [{"query": one} if isinstance(one, str) else one for one in records], truncate_dim=6
    )
    assert [one["index"] for one in found] == [0, 1, 2, 3]
    assert np.allclose([one["embedding"] for one in found], expected, atol=1e-6)


def test_documents_are_written_found_and_deleted(writable: TestClient, model: RankingModel) -> None:
    documents = [
        {"doc_id": "../new/ä", "title": "red ball", "price": 1, "photo": image_uri((9, 9, 9))},
        {"doc_id": "d00", "title": "<b>grey</b>", "stock": 4},
    ]
    before = writable.get("/v1/indexes").json()["indexes"][0]
    done = writable.post("/v1/documents", json={"documents": documents})
    assert done.status_code == 200, done.text
    after = writable.get("/v1/indexes").json()["indexes"][0]
    assert (before["documents"], after["documents"]) == (N, N + 1)
    assert done.json()["index_version"] == after["index_version"] != before["index_version"]
    new = writable.get("/v1/documents/../new/ä".replace("../", "%2E%2E%2F")).json()
    assert new["document"] == {"title": "red ball", "price": 1.0, "stock": None}
    assert writable.get("/v1/documents/d00").json()["document"]["title"] == "<b>grey</b>"
    index = open_index(writable.app_state["service"].indexes["shop"].folder)
    vector = model.encode_documents([{"title": "<b>grey</b>"}])[0]
    assert np.allclose(index.vectors(["d00"])[0], vector, atol=1e-6)
    hits = writable.post("/v1/search", json={"query": "red", "limit": N + 1}).json()["hits"]
    assert "../new/ä" in {hit["doc_id"] for hit in hits}
    gone = writable.request("DELETE", "/v1/documents", json={"ids": ["d00", "d01", "none"]})
    assert gone.json()["deleted"] == 2
    assert writable.get("/v1/documents/d00").status_code == 404
    assert len(open_index(index.folder)) == N - 1


def test_judgments_and_events_are_kept_as_others_read_them(
    writable: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = [
        {"query_id": "q1", "doc_id": "d01", "score": 1, "rater": "ann"},
        {"query_id": "q1", "doc_id": "d01", "score": 3.0, "rater": "bob"},
        {"query_id": "q1", "doc_id": "d01", "score": 2.0, "rater": "ann"},
        {"query_id": "q2", "doc_id": "d02", "score": -0.5},
    ]
    done = writable.post("/v1/judgments", json={"judgments": judged})
    assert done.json()["kept"] == 4, done.text
    assert latest_judgments(tmp_path / "data").rows() == [
        ("q1", "d01", 2.5, 2, "mean", None), ("q2", "d02", -0.5, 1, "mean", None),
    ]  # fmt: skip
    for number in range(40):
        query = {"query_id": f"i{number}", "user_query": "red ball"}
        events = [
            {
                "action_name": action,
                "query_id": f"i{number}",
                "session_id": f"s{number}",
                "client_id": "c",
                "timestamp": f"2026-01-01T00:{number:02d}:{10 * step:02d}Z",
                "event_attributes": {
                    "object": {"object_id": f"d0{place}"}, "position": {"ordinal": place},
                },
            }
            for place in (1, 2, 3)
            for step, action in enumerate(("impression", "click"))
            if action == "impression" or place <= 1 + number % 2
        ]  # fmt: skip
        body = {"queries": [query], "events": events}
        assert writable.post("/v1/events", json=body).status_code == 200
    assert writable.post("/v1/events", json={"action_name": "login"}).json() == {"kept": 1}
    from rankfield.cli.main import main

    out = tmp_path / "labels"
    words = ["labels", str(tmp_path / "data" / "ubi"), str(out), "--propensities", "none"]
    monkeypatch.setattr(sys, "argv", ["rankfield", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    scores = dict(pl.read_parquet(out / "judgments.parquet").select("doc_id", "score").rows())
    assert scores["d01"] > scores["d02"] > scores["d03"]


def test_searches_are_recorded_only_if_asked(shop: Path, tmp_path: Path) -> None:
    for asked in (False, True):
        with client_of(shop, data=tmp_path / "data", record_queries=asked) as client:
            found = client.post("/v1/search", json={"query": "grey box", "limit": 2}).json()
        lines = (tmp_path / "data" / "ubi" / "ubi_queries.ndjson").read_text().splitlines()
        assert len(lines) == asked
    record = json.loads(lines[0])
    assert (record["query_id"], record["user_query"]) == (found["query_id"], "grey box")
    assert record["query_response_hit_ids"] == [hit["doc_id"] for hit in found["hits"]]


def test_state(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    client.post("/v1/search", json={"query": "red"})
    text = client.get("/metrics").text
    assert 'rankfield_requests_total{route="/v1/search",method="POST",status="200"}' in text
    assert "rankfield_batches_total" in text
    client.app_state["service"].ready = False
    assert client.get("/ready").status_code == 503
    client.app_state["service"].ready = True


def test_openapi_names_every_route_and_loads_nothing(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/search", "/v1/search/batch", "/v1/documents", "/v1/documents/{doc_id}",
        "/v1/embeddings", "/v1/judgments", "/v1/events", "/v1/indexes", "/health", "/ready",
        "/metrics", "/v1/interleave",
    }  # fmt: skip
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_another_writer_and_a_replaced_folder_are_noticed(
    writable: TestClient, shop: Path, model: RankingModel
) -> None:
    service = writable.app_state["service"]
    folder = service.indexes["shop"].folder
    frame = pl.DataFrame({"doc_id": ["x"], "title": ["red"], "price": [1.0], "stock": [1]})
    open_index(folder).upsert(frame, model.encode_documents([{"title": "red"}]))
    assert writable.get("/v1/documents/x").status_code == 200
    assert service.indexes["shop"].reloads == 1
    folder.rename(folder.with_name("old"))
    assert writable.get("/v1/documents/x").status_code == 200  # nothing there: the former serves
    shutil.copytree(shop / "index", folder)
    assert writable.get("/v1/documents/x").status_code == 404
    assert writable.post("/v1/documents", json={"documents": [{"doc_id": "y", "title": "a"}]})
    assert writable.get("/v1/documents/y").status_code == 200
    assert service.indexes["shop"].reloads == 2


def test_several_indexes_go_by_name(shop: Path) -> None:
    with client_of(shop, folders={"a": shop / "index", "b": shop / "index"}) as client:
        assert client.post("/v1/search", json={"query": "red"}).json()["error"]["param"] == "index"
        assert client.post("/v1/search", json={"query": "red", "index": "b"}).json()["index"] == "b"
        unknown = client.post("/v1/search", json={"query": "red", "index": "c"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_index")
