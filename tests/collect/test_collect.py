"""Whole jobs against a server on loopback with bad manners."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from killing import killable_commands
from misbehaving_server import Handler, MisbehavingServer, serving
from rankfield.collect import Job, collect, load_job, preview
from rankfield.collect import collect as collect_function
from rankfield.errors import OutputError, RemoteError
from rankfield.schema import RankingDataset
from rankfield.validate import audit, image_problems
from rankfield.work_folder import WorkFolder
from search_server import elastic_job, elastic_routes, photo_of


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with serving(elastic_routes()) as running:
        yield running


def contents(folder: Path) -> dict[str, Any]:
    """What a folder holds, without what depends on the clock."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name == "requests.jsonl":
            continue
        data = path.read_bytes()
        if name == "collect.json":
            found[name] = json.loads(data) | {"finished": ""}
        else:
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def test_a_job_becomes_a_data_set(server: MisbehavingServer, tmp_path: Path) -> None:
    said: list[str] = []
    job = load_job(elastic_job(tmp_path, server.url))
    data = collect(job, tmp_path / "out", report=said.append)
    assert data.queries.height == 12
    assert data.judgments.height == 12 * 20
    assert [f.name for f in data.document_fields] == ["title", "image"]
    one = data.judgments.filter(pl.col("query_id") == data.queries["query_id"][0])
    assert one["position"].to_list() == list(range(1, 21))
    assert one["score"].to_list() == [21.0 - p for p in range(1, 21)]
    assert one["score_reciprocal"].to_list() == [1 / p for p in range(1, 21)]
    assert data.score_scale.maximum == 20.0
    assert [p for p in audit(data) if p.severity == "error"] == []
    assert [p for p in image_problems(data) if p.severity == "error"] == []
    assert not (tmp_path / "out.partial").exists()
    text = " ".join(said)
    assert "images are refused; the first: /photos/" in text
    _photos_are_those_of_their_documents(data)
    lines = [json.loads(x) for x in (tmp_path / "out" / "requests.jsonl").read_text().splitlines()]
    assert len(lines) == len(server.seen)
    fields = "time request method url attempt status bytes seconds outcome"
    assert list(lines[0]) == fields.split()
    assert {200, 404, 429, 500} <= {line["status"] for line in lines}


def _photos_are_those_of_their_documents(data: RankingDataset) -> None:
    for doc_id, image, price in data.documents.select("doc_id", "image", "price").iter_rows():
        number = int(doc_id[1:])
        assert price == number + 0.5
        usable = number % 7 and number % 11 not in (1, 2, 3, 4)
        assert (image is not None) == bool(usable), doc_id
        if image:
            digest = hashlib.sha256(photo_of(number)).hexdigest()
            assert image == f"images/{digest}.png"


def test_no_run_depends_on_timing(server: MisbehavingServer, tmp_path: Path) -> None:
    job = load_job(elastic_job(tmp_path, server.url))
    collect(job, tmp_path / "a")
    many = job.model_copy(update={"limits": job.limits.model_copy(update={"concurrency": 8})})
    collect(many, tmp_path / "b")
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    for found in (a, b):
        found["collect.json"]["job"]["limits"].pop("concurrency")
    assert a == b


def test_killed_twenty_times_it_is_the_same(tmp_path: Path) -> None:
    """Killed by SIGKILL after a random number of requests, at a random moment."""
    chance = random.Random(7)
    with (
        serving(elastic_routes()) as server,
        killable_commands("rankfield.collect", "rankfield.web.client") as start,
    ):
        job = elastic_job(tmp_path, server.url, queries=50)
        collect(load_job(job), tmp_path / "whole")
        distinct = len({json.dumps(s, sort_keys=True) for s in _asked(server)})
        tries = len(server.seen)
        server.seen.clear()
        server.counts.clear()
        out = tmp_path / "killed"
        for _ in range(20):
            run = start("collect", job, out)
            goal = len(server.seen) + chance.randint(1, 7)
            while len(server.seen) < goal and run.is_running():
                time.sleep(0.001)
            time.sleep(chance.random() * 0.01)
            assert run.kill() == -9
            assert not out.exists()
        assert start("collect", job, out).wait() == 0
        assert contents(out) == contents(tmp_path / "whole")
        assert all(map(json.loads, (out / "requests.jsonl").read_text().splitlines()))
        # what was on the way when it was killed is asked again, and nothing else
        assert distinct <= len(server.seen) <= tries + 20 * 2
    assert [p.name for p in tmp_path.iterdir() if "killed" in p.name] == ["killed"]


def test_interrupted_it_stops_and_goes_on(server: MisbehavingServer, tmp_path: Path) -> None:
    job, out = elastic_job(tmp_path, server.url, queries=100), tmp_path / "out"
    collect(load_job(job), tmp_path / "whole")
    seen = len(server.seen)
    with killable_commands("rankfield.collect", "rankfield.web.client") as start:
        run = start("collect", job, out)
        while len(server.seen) < seen + 5 and run.is_running():
            time.sleep(0.001)
        os.kill(run.pid, signal.SIGINT)
        assert run.wait() == 130
        assert not out.exists()
        assert start("collect", job, out).wait() == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_other_settings_ask_again(server: MisbehavingServer, tmp_path: Path) -> None:
    """What one setting refused for good, another may allow."""
    path = elastic_job(tmp_path, server.url, queries=3)
    strict = path.with_name("strict.toml")
    strict.write_text(path.read_text().replace("allow_private = true", "") + "[images]\n")
    job, closed = load_job(path), load_job(strict)
    module = sys.modules[collect_function.__module__]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "assemble", _interrupted)
        with pytest.raises(RemoteError, match="just before the end"):
            collect(closed, tmp_path / "out")
    data = collect(job, tmp_path / "out")
    assert data.documents["image"].null_count() < data.documents.height


def _asked(server: MisbehavingServer) -> list[dict[str, Any]]:
    return [{"path": s["path"], "body": s["body"]} for s in server.seen]


@pytest.mark.parametrize("step", ["write_json", "clear", "rename"])
def test_killed_while_writing_it_is_the_same(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    job = load_job(elastic_job(tmp_path, server.url, queries=2))
    collect(job, tmp_path / "whole")
    module = sys.modules[collect_function.__module__]
    with monkeypatch.context() as patch:
        if step == "write_json":
            patch.setattr(module, "write_json", kill)
        elif step == "clear":
            patch.setattr(WorkFolder, "clear", kill)
        else:
            original = Path.rename

            def rename(path: Path, target: Path) -> Path:
                return kill() or path if target == tmp_path / "out" else original(path, target)

            patch.setattr(Path, "rename", rename)
        with pytest.raises(Killed):
            collect(job, tmp_path / "out")
    before = len(server.seen)
    collect(job, tmp_path / "out")
    assert len(server.seen) == before
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()


def test_what_exists_is_left_alone(server: MisbehavingServer, tmp_path: Path) -> None:
    job = load_job(elastic_job(tmp_path, server.url, queries=2))
    collect(job, tmp_path / "out")
    with pytest.raises(OutputError, match="already exists"):
        collect(job, tmp_path / "out")


def test_preview_keeps_nothing(server: MisbehavingServer, tmp_path: Path) -> None:
    job = load_job(elastic_job(tmp_path, server.url))
    query, results = preview(job)
    assert query == "query number a0"
    assert len(results) == 20
    assert results[0].fields["title"] == f"Product {results[0].doc_id[1:]} of many"
    assert not (tmp_path / "out.partial").exists()


def test_a_query_that_fails_stops_or_is_skipped(tmp_path: Path) -> None:
    routes = elastic_routes()
    search = routes["/products/_search"]

    def failing(handler: Handler, count: int) -> None:
        body: Any = handler.body
        if body["query"]["multi_match"]["query"].endswith("b1"):
            handler.answer(b"", status=503)
        else:
            search(handler, count)

    with serving(routes | {"/products/_search": failing}) as server:
        job = load_job(elastic_job(tmp_path, server.url, more="retries = 1"))
        with pytest.raises(RemoteError, match=r"1 of 12 queries failed.*503") as raised:
            collect(job, tmp_path / "out")
        assert "--skip-failed" in raised.value.remedy
        assert not (tmp_path / "out").exists()
        said: list[str] = []
        data = collect(job, tmp_path / "out", skip_failed=True, report=said.append)
    assert data.queries.height == 11
    assert any("1 of 12 queries failed" in text for text in said)


def test_a_wrong_key_stops_at_once(tmp_path: Path) -> None:
    refused: Any = {"/products/_search": lambda h, _: h.json({"error": "no"}, status=401)}
    with serving(refused) as server:
        job = load_job(elastic_job(tmp_path, server.url))
        with pytest.raises(RemoteError, match="401") as raised:
            collect(job, tmp_path / "out")
        assert "search.key_env" in raised.value.remedy
        assert len(server.seen) < 12


def test_photos_come_from_inside_only_if_allowed(server: MisbehavingServer, tmp_path: Path) -> None:
    """The search may be at a private address, since the user named it; photos may not."""
    job = load_job(elastic_job(tmp_path, server.url, queries=3))
    closed = job.limits.model_copy(update={"allow_private": False})
    said: list[str] = []
    data = collect(job.model_copy(update={"limits": closed}), tmp_path / "o", report=said.append)
    assert data.documents["image"].null_count() == data.documents.height
    assert "private or reserved address" in " ".join(said)
    assert not any("/photos/" in s["path"] for s in server.seen)


def test_without_photos_and_without_those_that_lack_one(
    server: MisbehavingServer, tmp_path: Path
) -> None:
    job = load_job(elastic_job(tmp_path, server.url, queries=4))
    text = job.model_copy(update={"images": job.images.model_copy(update={"download": False})})
    data = collect(text, tmp_path / "text")
    assert [f.name for f in data.document_fields] == ["title"]
    drop = job.model_copy(update={"images": job.images.model_copy(update={"missing": "drop"})})
    data = collect(drop, tmp_path / "drop")
    assert data.documents["image"].null_count() == 0
    assert data.documents.height < 60
    assert "no usable field or image" in " ".join(data.provenance.notes)


def test_the_key_is_sent_and_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "s3cr3t/key")

    def shopping(handler: Handler, count: int) -> None:
        results = [
            {"product_id": n, "title": f"mug {n}", "extracted_price": 2 * n, "source": "Shop"}
            for n in range(int(handler.query["start"]), 6)
        ]
        answer = {"shopping_results": results, "echo": handler.path}
        none = {"error": "Google hasn't returned any results for this query."}
        handler.json(answer if results else none)

    (tmp_path / "categories.txt").write_text("# tree\n7 - Kitchen > Mugs\nKitchen > Pans\n")
    job = tmp_path / "job.toml"
    with serving({"/search.json": shopping}) as server:
        job.write_text(
            f"""
            [queries]
            source = "categories"
            file = "categories.txt"
            templates = ["{{leaf}}", "{{leaf}} for {{parent}}"]
            [search]
            kind = "serpapi"
            url = "{server.url}/search.json"
            key_env = "MY_KEY"
            [search.params]
            gl = "us"
            [limits]
            requests_per_second = 1000.0
            """
        )
        loaded = load_job(job, allow_env=["MY_KEY"])
        with monkeypatch.context() as patch:
            patch.setattr(Job, "model_dump", _interrupted)
            with pytest.raises(RemoteError, match="just before the end"):
                collect(loaded, tmp_path / "out")
        kept = b"".join(p.read_bytes() for p in (tmp_path / "out.partial").rglob("*.jsonl"))
        data = collect(loaded, tmp_path / "out")
        assert "api_key=s3cr3t%2Fkey" in server.seen[0]["path"]
        assert "gl=us" in server.seen[0]["path"]
    kept += b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert b"s3cr3t" not in kept
    assert b"api_key=***" in kept
    assert data.queries["query"].to_list() == [
        "Mugs",
        "Mugs for Kitchen",
        "Pans",
        "Pans for Kitchen",
    ]
    assert data.queries["category"][0] == "Kitchen > Mugs"
    assert data.documents["doc_id"].to_list() == ["0", "1", "2", "3", "4", "5"]
    assert data.documents["price"].to_list() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def _interrupted(*_: Any, **__: Any) -> Any:
    raise RemoteError("stopped just before the end")


def test_queries_of_a_language_model(tmp_path: Path) -> None:
    routes = elastic_routes()

    def chat(handler: Handler, count: int) -> None:
        body: Any = handler.body
        prompt = body["messages"][0]["content"]
        if count == 1 and "Pans" in prompt:
            text = "I cannot do that."
        elif "Mugs" in prompt:
            text = 'Here you are:\n```json\n["red mug", "Mugs, red", "travel mug", "", 3]\n```'
        else:
            text = '{"queries": [{"query": "iron pan"}, {"query": "red mugs"}]}'
        handler.json({"choices": [{"message": {"content": text}}]})

    (tmp_path / "tree.json").write_text('{"Kitchen": {"Mugs": {}, "Pans": null}}')
    with serving(routes | {"/v1/chat/completions": chat}) as server:
        path = elastic_job(tmp_path, server.url)
        text = path.read_text().replace(
            'file = "queries.txt"',
            f"""source = "generate"
file = "tree.json"
[queries.endpoint]
url = "{server.url}/v1"
model = "tiny" """,
        )
        path.write_text(text)
        said: list[str] = []
        data = collect(load_job(path), tmp_path / "out", report=said.append)
    assert data.queries["query"].to_list() == ["red mug", "travel mug", "iron pan"]
    assert "2 queries repeat another and are left out" in said


def test_a_key_that_the_servers_send_back_reaches_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "abc/def+ghi==")
    monkeypatch.setenv("LLM_KEY", "sk-of/the+model")

    def chat(handler: Handler, count: int) -> None:
        key = handler.headers["authorization"].removeprefix("Bearer ")
        handler.json({"choices": [{"message": {"content": json.dumps(["mug", f"pan {key}"])}}]})

    def search(handler: Handler, count: int) -> None:
        key = handler.headers["x-key"].removeprefix("ApiKey ")
        found = [{"title": f"mug {n}", "note": f"key {key}", key: 1} for n in range(2)]
        text = json.dumps(found).replace("/", "\\/").replace("=", "\\u003d")
        handler.answer(text.encode())

    (tmp_path / "tree.txt").write_text("Mugs\n")
    with serving({"/v1/chat/completions": chat, "/search": search}) as server:
        (tmp_path / "job.toml").write_text(
            f"""
            [queries]
            source = "generate"
            file = "tree.txt"
            [queries.endpoint]
            url = "{server.url}/v1"
            model = "m"
            key_env = "LLM_KEY"
            [search]
            kind = "json"
            url = "{server.url}/search"
            params = {{ q = "{{query}}" }}
            key_env = "MY_KEY"
            key_header = "x-key"
            key_prefix = "ApiKey "
            [search.mapping]
            columns = {{ note = "note" }}
            [search.mapping.fields.title]
            path = "title"
            """
        )
        with monkeypatch.context() as patch:
            patch.setattr(Job, "model_dump", _interrupted)
            with pytest.raises(RemoteError, match="just before the end"):
                collect(_keyed(tmp_path / "job.toml"), tmp_path / "out")
        kept = (tmp_path / "out.partial" / "journal.jsonl").read_text()
        data = collect(_keyed(tmp_path / "job.toml"), tmp_path / "out")
    assert data.queries["query"].to_list() == ["mug", "pan ***"]
    assert data.documents["note"].to_list() == ["key ***"] * 2
    kept += "".join(p.read_text("latin-1") for p in (tmp_path / "out").rglob("*") if p.is_file())
    for piece in ("abc/", "def+", "ghi=", "sk-of", "the+model"):
        assert piece not in kept


def _keyed(path: Path) -> Job:
    return load_job(path, allow_env=["MY_KEY", "LLM_KEY"])
