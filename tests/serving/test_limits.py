"""What a service refuses, in one form and without a word of where it lies."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rankfield.errors import InputError, OutputError
from rankfield.serving import Keys, Limits, Service, check_host
from rankfield.serving.journal import Journal
from rankfield.serving.logs import JsonLog
from rankfield.serving.served_index import named_folders
from served_shop import client_of, image_uri, made_shop, quiet

READ, WRITE = "r" * 20, "w" * 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    made_shop(root)
    return root


@pytest.fixture(scope="module")
def client(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    limits = Limits(body=20_000, pixels=10_000, results=2_000, queries=3, inputs=4, documents=5)
    data = tmp_path_factory.mktemp("data")
    with client_of(shop, limits=limits, data=data) as found:
        yield found


def png_bomb(side: int) -> str:
    """Return a PNG whose head says so many pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


SVG = "data:image/svg+xml;base64," + base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
).decode()  # fmt: skip

REFUSED: list[tuple[str, Any, int, str]] = [
    ("/v1/search", {"query": "red", "filter": "id = 1 or 1=1"}, 422, "filter"),
    ("/v1/search", {"query": "red", "filter": "1=1; drop table x"}, 422, "filter"),
    ("/v1/search", {"query": "red", "filter": "_rowid > 0"}, 422, "filter"),
    ("/v1/search", {"query": "red", "filter": "((" * 500 + "price"}, 422, "filter"),
    ("/v1/search", {"query": "red", "limit": 10**9}, 422, "limit"),
    ("/v1/search", {"query": "red", "limit": 2_001, "window": 3_000}, 422, "limit"),
    ("/v1/search", {"query": "red", "window": 2_001}, 422, "limit"),
    ("/v1/search", {"query": ["red"] * 33}, 422, "query"),
    ("/v1/search", {"query": {"red": 1, "red ": -1}}, 422, "query"),  # the parts cancel
    ("/v1/search", {"query": [{"image": png_bomb(12_000)}]}, 413, "query.0.image"),
    ("/v1/search", {"query": [{"image": image_uri((1, 1, 1), (101, 100))}]}, 413, "query.0.image"),
    ("/v1/search", {"query": [{"image": png_bomb(60_000)}]}, 422, "query.0.image"),
    ("/v1/search", {"query": [{"image": SVG}]}, 422, "query.0.image"),
    ("/v1/search", {"query": [{"image": "http://127.0.0.1/x.png"}]}, 422, "query.0.image"),
    ("/v1/search", {"query": [{"image": "file:///etc/passwd"}]}, 422, "query.0.image"),
    ("/v1/search", {"query": [{"image": "/etc/passwd"}]}, 422, "query.0.image"),
    ("/v1/search", {"query": [{"like": "../../etc/passwd"}]}, 422, ""),
    ("/v1/search", {"query": "   "}, 422, "query.0.text"),
    ("/v1/search", {"query": []}, 422, "query"),
    ("/v1/search", {"text": "red"}, 422, "query"),
    ("/v1/search", [1], 422, "query"),
    ("/v1/search", {"query": "red", "cursor": "x"}, 422, "cursor"),
    ("/v1/search", {"query": "red", "index": "../../etc"}, 404, "index"),
    ("/v1/search", {"query": "red", "facets": ["<script>"]}, 422, ""),
    ("/v1/search/batch", {"queries": ["red"] * 4}, 422, "queries"),
    ("/v1/search/batch", {"queries": []}, 422, "queries"),
    ("/v1/search/batch", [], 422, "queries"),
    ("/v1/embeddings", {"input": []}, 422, "input"),
    ("/v1/embeddings", {"input": ["a"] * 5}, 422, "input"),
    ("/v1/embeddings", {"input": [[1, 2, 3]]}, 422, ""),
    ("/v1/embeddings", {"input": "a", "dimensions": 17}, 422, "dimensions"),
    ("/v1/embeddings", {"input": "a", "dimensions": 0}, 422, "dimensions"),
    ("/v1/embeddings", {"input": "a", "model": "gpt"}, 404, "model"),
    ("/v1/embeddings", {"input": {"image": png_bomb(12_000)}}, 413, "input.0"),
    ("/v1/embeddings", {"input": {"image": SVG}}, 422, "input.0"),
    ("/v1/embeddings", {"input": "a", "encoding_format": "pickle"}, 422, "encoding_format"),
    ("/v1/documents", {"documents": []}, 422, "documents"),
    ("/v1/documents", {"documents": [{"doc_id": str(i)} for i in range(6)]}, 422, "documents"),
    ("/v1/documents", {"documents": [{"doc_id": "a"}]}, 422, "documents.0"),
    ("/v1/documents", {"documents": [{"doc_id": "", "title": "a"}]}, 422, "documents.0.doc_id"),
    ("/v1/documents", {"documents": [{"doc_id": 7, "title": "a"}]}, 422, "documents.0.doc_id"),
    ("/v1/documents", {"documents": [{"doc_id": "a", "titel": "a"}]}, 422, "documents.0"),
    (
        "/v1/documents",
        {"documents": [{"doc_id": "a", "title": "a", "price": "1"}]},
        422,
        "documents.0.price",
    ),
    (
        "/v1/documents",
        {"documents": [{"doc_id": "a", "title": "a", "stock": 2**70}]},
        422,
        "",
    ),
    (
        "/v1/documents",
        {"documents": [{"doc_id": "a", "photo": png_bomb(12_000)}]},
        413,
        "documents.0.photo",
    ),
    ("/v1/documents", {"documents": [{"doc_id": "a", "photo": SVG}]}, 422, "documents.0.photo"),
    (
        "/v1/documents",
        {"documents": [{"doc_id": "a", "photo": "https://x/y.png"}]},
        422,
        "documents.0.photo",
    ),
    ("/v1/documents", {"documents": [{"doc_id": "a", "title": "a"}] * 2}, 422, ""),
    ("/v1/judgments", {"judgments": []}, 422, "judgments"),
    ("/v1/judgments", {"judgments": [{"query_id": "q", "doc_id": "d"}]}, 422, "judgments.0.score"),
    ("/v1/events", {"events": [{"query_id": "q"}]}, 422, "events.0.action_name"),
    ("/v1/events", [], 422, "events"),
    ("/v1/events", {"action_name": "a", "timestamp": "soon"}, 422, "events.0.timestamp"),
]  # fmt: skip


@pytest.mark.parametrize(("route", "body", "status", "param"), REFUSED)
def test_refused(
    client: TestClient, shop: Path, route: str, body: Any, *, status: int, param: str
) -> None:
    before = client.get("/v1/indexes").json()["indexes"][0]["index_version"]
    found = client.post(route, json=body)
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    if param:
        assert (error["param"] or "").startswith(param), error
    assert str(shop) not in found.text
    assert "Traceback" not in found.text
    assert client.get("/v1/indexes").json()["indexes"][0]["index_version"] == before


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"query": "red", "limit": NaN}', 400),
        (b'{"query": {"red": Infinity}}', 400),
        (b'{"query": {"red": 1e999}}', 400),
        (b'{"query": "\xff"}', 400),
        (b'{"query": "\\ud800"}', 422),
        (b"[" * 5_000, 400),
        (b'{"query": ' + b"9" * 9_000 + b"}", 400),
        (b"", 400),
        (b"query=red", 400),
    ],
)
def test_json_is_read_strictly(client: TestClient, data: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    found = client.post("/v1/search", content=data, headers=headers)
    assert found.status_code == status, found.text


def test_bodies_are_refused_before_they_are_read(client: TestClient) -> None:
    sent = []

    def parts() -> Iterator[bytes]:
        for _ in range(1_000):
            sent.append(1)
            yield b" " * 1_000

    headers = {"content-type": "application/json"}
    said = client.post("/v1/search", content=b" " * 20_001, headers=headers)
    assert (said.status_code, said.json()["error"]["code"]) == (413, "body_too_large")
    assert "20,000 bytes" in said.json()["error"]["message"]
    streamed = client.post("/v1/search", content=parts(), headers=headers)
    assert streamed.status_code == 413
    assert client.post("/v1/search", content=b"{}").status_code == 415


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 400),
        ({"host": "localhost.evil.example:80"}, 400),
        ({"host": "localhost:1234"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_hosts_and_origins(client: TestClient, headers: dict[str, str], status: int) -> None:
    found = client.get("/v1/indexes", headers=headers)
    assert found.status_code == status
    assert "access-control-allow-origin" not in found.headers
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    preflight = client.options("/v1/documents", headers={"origin": "http://localhost"})
    assert preflight.status_code == 405


def test_keys_have_scopes(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f'read = ["{READ}"]\nwrite = ["{WRITE}"]\n')
    body = {"documents": [{"doc_id": "d00", "title": "red"}]}
    with client_of(shop, keys=Keys.read(path, {})) as client:

        def asked(token: str) -> tuple[int, int]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            read = client.post("/v1/search", json={"query": "red"}, headers=headers)
            write = client.request("DELETE", "/v1/documents", json={"ids": ["x"]}, headers=headers)
            return read.status_code, write.status_code

        assert asked("") == asked("x" * 20) == asked(READ + "r") == (401, 401)
        assert asked(READ) == (200, 403)
        assert asked(WRITE) == (200, 200)
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == 401
        refused = client.post("/v1/documents", json=body)
        assert refused.json()["error"]["type"] == "authentication_error"
    found = Keys.read(None, {"RANKFIELD_READ_KEYS": f"{READ},{'s' * 16}"})
    assert found.scopes("s" * 16) == {"read"}
    for text in ('read = ["short"]', "read = []", 'reed = ["x"]'):
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            Keys.read(path, {})
        assert "short" not in str(caught.value)


def test_hosts_that_others_reach_need_a_key() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        check_host(host, False, False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        with pytest.raises(InputError, match="no API key"):
            check_host(host, False, False)
        check_host(host, True, False)
        check_host(host, False, True)


def test_a_full_queue_is_said(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(shop, limits=Limits(queue=1)) as client:
        service: Service = client.app_state["service"]
        going, stop = threading.Event(), threading.Event()
        current = service.indexes["shop"].current

        def slow() -> Any:
            going.set()
            stop.wait(20)
            return current()

        monkeypatch.setattr(service.indexes["shop"], "current", slow)
        found: list[int] = []
        thread = threading.Thread(
            target=lambda: found.append(
                client.post("/v1/search", json={"query": "red"}).status_code
            )
        )
        thread.start()
        assert going.wait(20)
        full = client.post("/v1/search", json={"query": "red"})
        assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        assert full.json()["error"]["type"] == "rate_limit_error"
        assert client.get("/health").status_code == 200
        stop.set()
        thread.join()
        assert found == [200]
        assert client.post("/v1/search", json={"query": "red"}).status_code == 200


def test_what_takes_too_long_is_given_up(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(shop, limits=Limits(timeout=0.05)) as client:
        service: Service = client.app_state["service"]
        stop = threading.Event()
        monkeypatch.setattr(service.indexes["shop"], "current", lambda: stop.wait(20))
        found = client.post("/v1/search", json={"query": "red"})
        assert (found.status_code, found.json()["error"]["code"]) == (504, "timeout")
        stop.set()


def test_an_unexpected_error_says_nothing_and_is_logged(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    with client_of(shop, log=JsonLog(stream)) as client:
        client.post("/v1/search", json={"query": "a secret wish\x1b[2J"})

        def broken() -> Any:
            raise RuntimeError(f"in {shop}\x1b[31m")

        service: Service = client.app_state["service"]
        monkeypatch.setattr(service.indexes["shop"], "current", broken)
        found = client.post("/v1/search", json={"query": "red"})
    assert found.status_code == 500
    assert found.json()["error"]["message"] == "an error of the service"
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in lines] == ["request", "failure", "request"]
    assert "RuntimeError" in lines[1]["traceback"]
    assert lines[1]["request_id"] == lines[2]["request_id"]
    assert "\x1b" not in stream.getvalue()
    assert "secret" not in stream.getvalue()


def test_another_writer_is_waited_for_by_the_client(shop: Path, tmp_path: Path) -> None:
    from rankfield.index.exact import _locked

    body = {"documents": [{"doc_id": "d00", "title": "red"}]}
    with client_of(shop) as client, _locked(shop / "index"):
        found = client.post("/v1/documents", json=body)
        assert (found.status_code, found.headers["retry-after"]) == (503, "1")
        assert str(shop) not in found.text


def test_a_data_folder_has_one_service_and_whole_lines(tmp_path: Path) -> None:
    with Journal(tmp_path / "data") as journal:
        journal.append("judgments.jsonl", [{"query_id": "q", "doc_id": "d", "score": 1}])
        with pytest.raises(OutputError, match="another run"):
            Journal(tmp_path / "data")
    path = tmp_path / "data" / "judgments.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"query_id": "cut')
    with Journal(tmp_path / "data") as journal:
        assert path.read_bytes() == whole
        journal.append("judgments.jsonl", [{"a": 1}, {"b": "\n\x1b"}])
    assert path.read_bytes() == whole + b'{"a":1}\n{"b":"\\n\\u001b"}\n'


def test_a_full_disk_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path) as journal:
        journal.append("judgments.jsonl", [{"a": 1}])
        with monkeypatch.context() as patch:

            def full(descriptor: int) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr("os.fsync", full)
            with pytest.raises(OutputError, match="full"):
                journal.append("judgments.jsonl", [{"b": 1}])
        journal.append("judgments.jsonl", [{"c": 1}])
    assert (tmp_path / "judgments.jsonl").read_text() == '{"a":1}\n{"c":1}\n'


def test_names_of_indexes(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    assert named_folders([str(folder), f"two={folder}"]) == {"one": folder, "two": folder}
    with pytest.raises(InputError, match="called 'one'"):
        named_folders([str(folder), f"{folder}/"])
    with pytest.raises(InputError, match="found none"):
        Service({}, log=quiet())
