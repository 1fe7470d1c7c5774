"""A real process: many clients, stopping, killing, slow clients."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import polars as pl
import pytest

from rankfield.index import index_model, open_index
from rankfield.query import Searcher
from rankfield.serving import latest_judgments
from rankfield.serving.judgments import kept_acts
from served_process import Served, started
from served_shop import client_of, made_shop, quiet

TEXTS = [f"{a} {b}" for a in ("red", "green", "blue", "grey") for b in ("ball", "box", "nice")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    made_shop(root)
    return root


@pytest.fixture
def root(shop: Path, tmp_path: Path) -> Path:
    for name in ("model", "index"):
        shutil.copytree(shop / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def running(shop: Path) -> Iterator[Served]:
    with started(shop) as process:
        yield process
        assert process.stop(signal.SIGINT) == 0


def test_the_page_opens_in_the_browser_where_that_is_asked_for(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, asked = tmp_path / "browser", tmp_path / "asked"
    browser.write_text(f'#!/bin/sh\necho "$1" > {asked}.new && mv {asked}.new {asked}\n', "utf-8")
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with started(shop, "--open") as process:
        end = time.monotonic() + 60
        while not asked.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert asked.read_text("utf-8").strip() == process.url
    asked.unlink()
    with started(shop) as process:
        httpx2.get(f"{process.url}/health", trust_env=False)
        assert process.stop() == 0
    assert not asked.exists()


def test_many_clients_get_what_one_gets(running: Served, shop: Path) -> None:
    index = open_index(shop / "index")
    searcher = Searcher(index, index_model(index))
    expected = {text: [h.doc_id for h in searcher.search(text).hits] for text in TEXTS}

    def asked(number: int) -> tuple[str, list[str]]:
        text = TEXTS[number % len(TEXTS)]
        found = client.post("/v1/search", json={"query": text})
        assert found.status_code == 200, found.text
        return text, [hit["doc_id"] for hit in found.json()["hits"]]

    with httpx2.Client(base_url=running.url, timeout=60) as client:
        with ThreadPoolExecutor(16) as pool:
            for text, ids in pool.map(asked, range(120)):
                assert ids == expected[text]
        measures = client.get("/metrics").text
    numbers = dict(
        line.split(" ") for line in measures.splitlines() if "{" not in line and "#" not in line
    )
    assert float(numbers["rankfield_batched_items_total"]) > float(
        numbers["rankfield_batches_total"]
    )


def test_a_slow_client_is_let_go_and_holds_up_nobody(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankfield.serving import Limits, Service
    from rankfield.serving import server as module

    service = Service({"shop": shop / "index"}, limits=Limits(receive=0.5), log=quiet())
    places: list[tuple[str, int]] = []
    startup = module._Server.startup

    async def noted(self: module._Server, sockets: object = None) -> None:
        await startup(self, sockets)
        places.append(self.servers[0].sockets[0].getsockname()[:2])
        servers.append(self)

    servers: list[module._Server] = []
    monkeypatch.setattr(module._Server, "startup", noted)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    thread = threading.Thread(target=lambda: module.serve(service, port=0))
    thread.start()
    while not places:
        time.sleep(0.01)
    try:
        for begun in (b"", b"POST /v1/search HTTP/1.1\r\nHost: local", _head(100) + b'{"query"'):
            with socket.create_connection(places[0], 20) as slow:
                slow.sendall(begun)
                with httpx2.Client(base_url="http://{}:{}".format(*places[0])) as client:
                    assert client.get("/health").status_code == 200
                slow.settimeout(20)
                answer = b"".join(iter(lambda: _received(slow), b""))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
        assert answer.startswith(b"HTTP/1.1 408")
    finally:
        servers[0].should_exit = True
        thread.join()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def _head(length: int) -> bytes:
    lines = ["POST /v1/search HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def test_a_stop_finishes_what_was_accepted(root: Path) -> None:
    documents = [{"doc_id": f"n{i}", "title": f"red ball {i}"} for i in range(200)]
    with started(root) as process:
        found: list[httpx2.Response] = []

        def write() -> None:
            found.append(
                httpx2.post(
                    f"{process.url}/v1/documents", json={"documents": documents}, timeout=60
                )
            )

        thread = threading.Thread(target=write)
        thread.start()
        while not _in_progress(process):
            time.sleep(0.005)
        assert process.stop(signal.SIGTERM) == 0
        thread.join()
        assert found[0].status_code == 200
        assert len(open_index(root / "index")) == 40 + 200
        assert "Traceback" not in process.log.read_text()


def _in_progress(process: Served) -> bool:
    text = httpx2.get(f"{process.url}/metrics").text
    return "rankfield_requests_in_progress 1" in text or '"/v1/documents"' in text


def test_a_kill_keeps_what_was_acknowledged(root: Path) -> None:
    acknowledged: list[int] = []
    with started(root, "--data", str(root / "data")) as process:

        def write() -> None:
            with httpx2.Client(base_url=process.url, timeout=20) as client:
                for number in range(10_000):
                    judged = {"query_id": "q", "doc_id": f"k{number}", "score": number}
                    document = {"doc_id": f"k{number}", "title": "red", "stock": number}
                    one = client.post("/v1/documents", json={"documents": [document]})
                    two = client.post("/v1/judgments", json={"judgments": [judged]})
                    assert one.status_code == two.status_code == 200
                    acknowledged.append(number)

        def until_killed() -> None:
            with suppress(httpx2.TransportError):
                write()

        thread = threading.Thread(target=until_killed)
        thread.start()
        while len(acknowledged) < 5:
            time.sleep(0.01)
        process.process.kill()
        thread.join()
    found = open_index(root / "index").documents()
    kept = found.filter(pl.col("doc_id").str.starts_with("k"))["stock"].to_list()
    assert set(acknowledged) <= set(kept)
    judged = latest_judgments(root / "data")
    assert set(map(float, acknowledged)) <= set(judged["score"])
    with client_of(root, data=root / "data") as again:
        body = {"judgments": [{"query_id": "q", "doc_id": "x", "score": 1}]}
        assert again.post("/v1/judgments", json=body).status_code == 200
    for line in (root / "data" / "judgments.jsonl").read_text().splitlines():
        json.loads(line)


def test_a_kill_keeps_every_grade_of_two_raters(root: Path) -> None:
    acknowledged: dict[str, list[tuple[str, float | None]]] = {"anna": [], "ben": []}

    def rate(rater: str) -> None:
        kept = acknowledged[rater]
        with (
            httpx2.Client(base_url=process.url, timeout=20) as client,
            suppress(httpx2.TransportError),
        ):
            for number in range(10_000):
                score = None if number % 5 == 4 else float(number)
                body: dict[str, object] = {
                    "query_id": f"q{number}", "doc_id": "d00", "rater": rater, "query": "red ball",
                    "score": score, "found_by": [],
                    "position": 1, "blind": True,
                }  # fmt: skip
                assert client.post("/grade/judgments", json=body).status_code == 200
                kept.append((f"q{number}", score))
                if number % 7 == 6:
                    kept.pop()
                    undone = client.post("/grade/undo", json={"rater": rater})
                    assert undone.json()["query_id"] == f"q{number}"

    with started(root, "--data", str(root / "data")) as process:
        threads = [threading.Thread(target=rate, args=(rater,)) for rater in acknowledged]
        for thread in threads:
            thread.start()
        while min(map(len, acknowledged.values())) < 20:
            time.sleep(0.01)
        process.process.kill()
        for thread in threads:
            thread.join()
    acts = kept_acts(root / "data")
    for rater, given in acknowledged.items():
        found = [(one.query_id, one.score) for one in acts.of(rater)]
        assert found[: len(given)] == given
        assert len(found) <= len(given) + 1  # one whose answer, or that of its undo, was cut off
    settled = latest_judgments(root / "data", settled_by="ben")
    ours = {query: score for query, score in acknowledged["ben"] if score is not None}
    kept = dict(settled.select("query_id", "score").iter_rows())
    assert ours.items() <= kept.items()
