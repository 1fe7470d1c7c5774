"""Jobs, mappings and answers that are wrong: the message says where, what and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misbehaving_server import Route, serving
from rankfield.cli.main import main
from rankfield.collect import load_job
from rankfield.collect.job import EXAMPLES, example_job
from rankfield.errors import InputError
from search_server import elastic_job

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", "collect", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return call


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_is_a_job(kind: str, run: Run, tmp_path: Path) -> None:
    code, out, _ = run("--example", kind)
    assert (code, out) == (0, example_job(kind))
    (tmp_path / "job.toml").write_text(out)
    job = load_job(tmp_path / "job.toml", allow_env=["SERPAPI_KEY"])
    assert job.search.kind == kind
    assert {f.modality for f in job.search.mapping.fields.values()} == {"text", "image"}


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("[search]", "[search", ["job.toml: not valid TOML"]),
        ("depth = 20", "dept = 20", ["search.dept: unknown key", "Did you mean 'depth'?"]),
        ("depth = 20", "depth = 0", ["search.depth: input should be greater than or equal to 1"]),
        ("depth = 20", 'depth = "20"', ["search.depth: input should be a valid integer"]),
        ('index = "products"', "", ['search: kind = "elasticsearch" needs the name of an index']),
        ('kind = "elastic', 'kind = "plastic', ["search.kind", "found 'plasticsearch'"]),
        ('url = "http', 'url = "gopher', ["search.url: expected an address as https://host/path"]),
        ('url = "http://', 'url = "http://me:pw@', ["search.url: no passwords in addresses"]),
        ('127.0.0.1:1"', '127.0.0.1:1/?lang=en&Key=x"', ["search: Key holds a key"]),
        (
            "depth = 20",
            'depth = 20\nheaders = { Authorization = "x" }',
            ["Authorization holds a key"],
        ),
        ("weight = 0.5", "weight = -1", ["search.mapping.fields.title.weight", "found -1"]),
        ('"_source.title"', '"_source..title"', ["fields.title.path", "is not a path"]),
        ("title = {", "score = {", ["fields: 'score' cannot be the name of a field"]),
        ("[queries]", '[queries]\nsource = "generate"', ["needs [queries.endpoint]"]),
        ("[queries]", '[queries]\nsource = "web"', ["queries.source", "found 'web'"]),
        ('file = "queries.txt"', "", ["queries.file: this key is missing"]),
        ("[limits]", "[limits]\nretry = 3", ["limits.retry: unknown key", "'retries'"]),
        ("depth = 20", 'depth = 20\nmapping = "m.toml"\n[x]', ["m.toml: there is no such file"]),
        (
            "depth = 20",
            'depth = 20\nkey_env = "NO_KEY_HERE"',
            ["variable NO_KEY_HERE to", "--allow-env NO_KEY_HERE"],
        ),
        ('"queries.txt"', '"nothing.txt"', ["nothing.txt: there is no such file"]),
    ],
)
def test_a_bad_job(tmp_path: Path, run: Run, old: str, new: str, messages: list[str]) -> None:
    path = elastic_job(tmp_path, "http://127.0.0.1:1")
    text = path.read_text()
    if "m.toml" in new:
        text = text[: text.index("[search.mapping.fields]")] + text[text.index("[limits]") :]
    assert old in text
    path.write_text(text.replace(old, new, 1).replace("\n[x]", ""))
    code, _, err = run(path, tmp_path / "out")
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for message in messages:
        assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("results = [", ["mapping.toml: not valid TOML"]),
        ('results = "hits"', ["mapping.toml, fields: this key is missing"]),
        ('result = "hits"\n[fields]\nt = {path = "t"}', ["mapping.toml, result: unknown key"]),
        ('results = "a["\n[fields]\nt = {path = "t"}', ["mapping.toml, results", "not a path"]),
        ('[fields]\nt = {pth = "t"}', ["mapping.toml, fields.t.pth: unknown key", "'path'"]),
        ('[fields]\nt = {path = "t", modality = "video"}', ["fields.t.modality", "'video'"]),
        ('[fields]\nt = {path = "t"}\n[columns]\ndoc_id = "x"', ["columns", "'doc_id' cannot"]),
    ],
)
def test_a_bad_mapping_file(tmp_path: Path, run: Run, text: str, messages: list[str]) -> None:
    (tmp_path / "q.txt").write_text("mug\n")
    (tmp_path / "mapping.toml").write_text(text)
    (tmp_path / "job.toml").write_text(
        '[queries]\nfile = "q.txt"\n[search]\nkind = "json"\nmapping = "mapping.toml"\n'
        'url = "http://127.0.0.1:1/?q={query}"\n'
    )
    code, _, err = run(tmp_path / "job.toml", tmp_path / "out")
    assert code == 2
    for message in messages:
        assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (lambda h, _: h.json({"hit": {}}), "expected a list at 'hits.hits' in the answer"),
        (lambda h, _: h.json({"hits": {"hits": {"a": 1}}}), "found dict"),
        (lambda h, _: h.json([1, 2]), "expected a list at 'hits.hits'"),
        (lambda h, _: h.answer(b"<html>", kind="text/html"), "found 'text/html'"),
        (lambda h, _: h.answer(b'{"hits"'), "not valid JSON"),
        (lambda h, _: h.json({"timed_out": True, "hits": {"hits": []}}), "incomplete: timed_out"),
        (lambda h, _: h.json({"hits": {"hits": []}}), "no query has any result"),
        (lambda h, _: h.json({"error": "no such index"}, status=404), "Is the address right?"),
        (lambda h, _: h.json({"error": {"reason": "bad query"}}, status=400), "bad query"),
    ],
)
def test_a_bad_answer(tmp_path: Path, run: Run, route: Route, message: str) -> None:
    with serving({"/products/_search": route}) as server:
        more = "retries = 1\ngive_up_after = 3"
        path = elastic_job(tmp_path, server.url, queries=4, more=more)
        code, _, err = run(path, tmp_path / "out")
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_no_server_at_all(tmp_path: Path, run: Run) -> None:
    path = elastic_job(tmp_path, "http://127.0.0.1:1", more="retries = 1\ngive_up_after = 3")
    code, _, err = run(path, tmp_path / "out")
    assert code == 2
    assert "3 requests failed in a row" in err
    assert "run the same command again" in err


def test_usage(tmp_path: Path, run: Run) -> None:
    assert "expected a job and an output folder" in run()[2]
    assert "unknown kind 'solr'" in run("--example", "solr")[2]
    with pytest.raises(InputError, match="there is no such file") as raised:
        load_job(tmp_path / "none.toml")
    assert "--example json" in raised.value.remedy


def test_queries_and_depth_of_the_command_line(tmp_path: Path, run: Run) -> None:
    from search_server import elastic_routes

    with serving(elastic_routes()) as server:
        path = elastic_job(tmp_path, server.url)
        code, out, _ = run(path, "--preview")
        assert code == 0
        assert "'query number a0': 20 results" in out
        code, out, _ = run(path, tmp_path / "out", "--queries", 3, "--depth", 4)
    assert code == 0
    assert "out: 3 queries, " in out
    assert ", 12 judgments" in out


def test_a_mapping_of_any_api(tmp_path: Path, run: Run) -> None:
    def api(handler: Any, count: int) -> None:
        page = int(handler.query["page"])
        items = [{"name": f"{handler.query['q']} {n}"} for n in range(3 * page - 3, 3 * page)]
        handler.json({"data": {"items": items if page < 4 else []}})

    (tmp_path / "q.txt").write_text("red mug & {size}\n")
    with serving({"/find": api}) as server:
        (tmp_path / "job.toml").write_text(
            f"""
            [queries]
            file = "q.txt"
            [search]
            kind = "json"
            url = "{server.url}/find"
            depth = 7
            [search.params]
            q = "{{query}}"
            page = "{{page}}"
            [search.mapping]
            results = "data.items"
            fields = {{ title = {{ path = "name" }} }}
            [limits]
            requests_per_second = 1000.0
            """
        )
        code, out, _ = run(tmp_path / "job.toml", tmp_path / "out")
        assert code == 0
        assert "1 queries, 7 documents, 7 judgments" in out
        assert server.seen[0]["path"] == "/find?q=red+mug+%26+%7Bsize%7D&page=1"
        assert len(server.seen) == 3
