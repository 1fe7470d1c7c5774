"""Interleaved lists over HTTP, and which index visitors are found to prefer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from rankfield.cli.main import main
from rankfield.errors import DataError
from rankfield.index import open_index
from rankfield.serving import index_preferences
from served_shop import client_of, made_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with two indexes: the second lacks every other document."""
    root = tmp_path_factory.mktemp("shop")
    made_shop(root)
    shutil.copytree(root / "index", root / "half")
    half = open_index(root / "half")
    half.delete(half.documents()["doc_id"].gather_every(2))
    return root


@pytest.fixture
def client(shop: Path, tmp_path: Path) -> Iterator[TestClient]:
    options: dict[str, Any] = {
        "models": {"whole": shop / "model", "half": shop / "model"},
        "data": tmp_path / "data",
    }
    folders = {"whole": shop / "index", "half": shop / "half"}
    with client_of(shop, folders=folders, **options) as found:
        yield found


def lists(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "interleaved.jsonl").read_text().splitlines()]


def test_a_list_of_both_of_which_each_gave_its_best(client: TestClient, tmp_path: Path) -> None:
    asked = {"query": "red ball", "limit": 6}
    found = client.post("/v1/interleave", json=asked).json()
    (record,) = lists(tmp_path / "data")
    assert [hit["doc_id"] for hit in found["hits"]] == record["doc_ids"]
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5, 6]
    assert record["query_id"] == found["query_id"]
    assert "team" not in json.dumps(found)
    rankings = {
        name: [h["doc_id"] for h in client.post(
            "/v1/search", json={**asked, "index": name}).json()["hits"]]
        for name in ("whole", "half")
    }  # fmt: skip
    taken: set[str] = set()
    for doc_id, team in zip(record["doc_ids"], record["teams"], strict=True):
        assert next(one for one in rankings[team] if one not in taken) == doc_id
        taken.add(doc_id)
    assert sorted(record["teams"]) == ["half"] * 3 + ["whole"] * 3
    one = client.post("/v1/search", json={**asked, "index": "whole"}).json()["hits"][0]["document"]
    assert one in [hit["document"] for hit in found["hits"]]


def test_the_same_query_id_gives_the_same_list(client: TestClient) -> None:
    asked = {"query": "blue ball", "query_id": "visit 7", "limit": 8}
    first, second = (client.post("/v1/interleave", json=asked).json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ([], 422, "query"),
        ({"query": "ball", "indexes": ["whole"]}, 422, "indexes"),
        ({"query": "ball", "indexes": ["whole", "whole"]}, 422, "indexes"),
        ({"query": "ball", "indexes": [1, 2]}, 422, "indexes"),
        ({"query": "ball", "indexes": ["whole", "none"]}, 404, "index"),
        ({"query": "ball", "query_id": ""}, 422, "query_id"),
        ({"query": "ball", "offset": 3}, 422, "query"),
        ({"query": "ball", "unknown": 3}, 422, None),
    ],
)
def test_bad_requests(client: TestClient, body: Any, status: int, param: str | None) -> None:
    answer = client.post("/v1/interleave", json=body)
    assert answer.status_code == status, answer.text
    if param is not None:
        assert answer.json()["error"]["param"] == param


def test_without_a_folder_for_the_events_nothing_is_interleaved(shop: Path) -> None:
    with client_of(shop, folders={"a": shop / "index", "b": shop / "half"},
                   models={"a": shop / "model", "b": shop / "model"}) as client:  # fmt: skip
        answer = client.post("/v1/interleave", json={"query": "ball"})
    assert (answer.status_code, "--data FOLDER" in answer.text) == (404, True)


def test_clicks_tell_which_index_is_preferred(
    client: TestClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    wins = {"whole": 0, "half": 0}
    for number in range(40):
        found = client.post("/v1/interleave", json={"query": "ball", "limit": 4}).json()
        team = "whole" if rng.random() < 0.9 else "half"
        wins[team] += 1
        record = lists(tmp_path / "data")[-1]
        clicked = record["doc_ids"][record["teams"].index(team)]
        event = {
            "action_name": "click",
            "query_id": found["query_id"],
            "client_id": f"visitor {number % 10}",
            "event_attributes": {"object": {"object_id": clicked}},
        }
        shown = {**event, "action_name": "impression"}
        assert client.post("/v1/events", json=[event, shown]).status_code == 200
    data = tmp_path / "data"
    found = index_preferences(data)[("half", "whole")]
    assert (found.first, found.second, found.ties) == (wins["half"], wins["whole"], 0)
    assert found.p_value < 1e-4
    assert found.low > 0.5
    visitors = index_preferences(data, unit="client_id")[("half", "whole")]
    assert visitors.first + visitors.second + visitors.ties == 10
    assert index_preferences(data, actions=["purchase"])[("half", "whole")].ties == 40
    monkeypatch.setattr(sys, "argv", ["rankfield", "interleaving", str(data)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    assert f"whole over half: {wins['whole']} of 40" in capsys.readouterr().out


def test_folders_without_lists_and_strange_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        index_preferences(tmp_path)
    (tmp_path / "ubi").mkdir()
    (tmp_path / "ubi/ubi_events.ndjson").write_text("")
    (tmp_path / "interleaved.jsonl").write_text("")
    with pytest.raises(DataError, match="POST /v1/interleave"):
        index_preferences(tmp_path)
    for line in (b"[]", b"{}", b'{"query_id": "q", "doc_ids": ["a"], "teams": []}', b"x", b"\xff"):
        (tmp_path / "interleaved.jsonl").write_bytes(line + b"\n")
        with pytest.raises(DataError, match="line 1"):
            index_preferences(tmp_path)
    with pytest.raises(DataError, match="expected one of query_id, client_id"):
        index_preferences(tmp_path, unit="visitor")


def test_only_indexes_that_were_in_one_list_are_compared(tmp_path: Path) -> None:
    (tmp_path / "ubi").mkdir()
    lists = [("q1", ["first", "second"]), ("q2", ["second", "third"])]
    (tmp_path / "interleaved.jsonl").write_text(
        "".join(
            json.dumps({"query_id": query, "doc_ids": ["a", "b"], "teams": teams}) + "\n"
            for query, teams in lists
        )
    )
    click = {"action_name": "click", "event_attributes": {"object": {"object_id": "b"}}}
    (tmp_path / "ubi/ubi_events.ndjson").write_text(
        "".join(json.dumps({**click, "query_id": query}) + "\n" for query, _ in lists)
    )
    found = index_preferences(tmp_path)
    assert set(found) == {("first", "second"), ("second", "third")}
    assert all(one.second == 1 for one in found.values())
