"""What a job sends of this machine is asked for first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from misbehaving_server import Handler, Route, serving
from rankfield.cli.main import main
from rankfield.collect import collect, load_job
from rankfield.errors import InputError

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", "collect", *map(str, words)])
        try:
            main()
        except SystemExit as stopped:
            return int(stopped.code or 0), "".join(capsys.readouterr())
        return 0, "".join(capsys.readouterr())

    return call


JOB = """
[queries]
file = "{file}"
{queries}
[search]
kind = "json"
url = "{url}/search"
params = {{ q = "{{query}}" }}
{search}
"""
FIELDS = """
[search.mapping.fields.title]
path = "title"
"""


def write_job(
    folder: Path, *, url: str, file: str, search: str = "", queries: str = "", fields: str = FIELDS
) -> Path:
    folder.mkdir(exist_ok=True)
    text = JOB.format(url=url, file=file, search=search, queries=queries) + fields
    (folder / "job.toml").write_text(text)
    return folder / "job.toml"


KEY = 'key_env = "AWS_SECRET"\nkey_header = "x-key"'
ROUTES: dict[str, Route] = {"/search": lambda handler, _: handler.json([{"title": "mug"}])}


@pytest.mark.parametrize("way", ["climbs", "absolute", "link"])
def test_files_elsewhere_and_variables_are_asked_for(
    tmp_path: Path, run: Call, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("AWS_SECRET", "topsecret")
    (tmp_path / "private").mkdir()
    secret = tmp_path / "private" / "id_rsa"
    secret.write_text("BEGIN PRIVATE KEY\nSECRET LINE\n")
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "link.txt").symlink_to(secret)
    file = {"climbs": "../private/id_rsa", "absolute": str(secret), "link": "link.txt"}[way]
    out = tmp_path / "out"
    with serving(ROUTES) as server:
        job = write_job(tmp_path / "stranger", url=server.url, file=file, search=KEY)
        host = server.url.removeprefix("http://")
        for words in ([job, out], [job, "--preview"], [job, out, "--allow-env", "OTHER"]):
            code, said = run(*words)
            assert code == 2
            assert f"the lines of the file {secret} to {host}" in said
            assert f"the environment variable AWS_SECRET to {host}" in said
            assert f"add --allow-file {secret} --allow-env AWS_SECRET" in said
        code, said = run(job, out, "--allow-file", secret)
        assert (code, "variable AWS_SECRET" in said, "the lines" in said) == (2, True, False)
        code, said = run(job, out, "--allow-env", "AWS_SECRET")
        assert (code, "variable AWS_SECRET" in said, "the lines" in said) == (2, False, True)
        assert server.seen == []
        assert not out.exists()
        code, said = run(job, out, "--allow-env", "AWS_SECRET", "--allow-file", secret)
        assert code == 0, said
        assert len(server.seen) == 2
    assert f"the lines of the file {secret} goes to {host}" in said
    assert f"the environment variable AWS_SECRET goes to {host}" in said


def test_the_language_model_and_its_prompt_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("{category}")
    (tmp_path / "mapping.toml").write_text('fields = { title = { path = "title" } }')
    endpoint = """
    source = "generate"
    prompt = "../prompt.txt"
    [queries.endpoint]
    url = "http://model.example/v1"
    model = "m"
    key_env = "LLM_KEY"
    """
    job = write_job(
        tmp_path / "job", url="http://search.example", file="tree.txt", queries=endpoint
    )
    with pytest.raises(InputError) as raised:
        load_job(job)
    prompt = tmp_path / "prompt.txt"
    assert f"the text of the file {prompt} to model.example" in str(raised.value)
    assert "the environment variable LLM_KEY to model.example" in str(raised.value)
    assert "tree.txt" not in str(raised.value)
    load_job(job, allow_env=["LLM_KEY"], allow_files=[prompt])
    job = write_job(
        tmp_path / "job", url="http://search.example", file="q.txt",
        search='mapping = "../mapping.toml"', fields="",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"job reads .*mapping\.toml, outside its folder"):
        load_job(job)
    load_job(job, allow_files=[tmp_path / "mapping.toml"])


@pytest.mark.parametrize("name", ["queries.txt", "tree.json"])
def test_special_files_are_not_read(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    source = 'source = "categories"' if name == "tree.json" else ""
    job = write_job(tmp_path, url="http://127.0.0.1:9", file=name, queries=source)
    with pytest.raises(InputError, match="not a regular file"):
        collect(load_job(job), tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('[search.mapping]\ncolumns = { title = "a" }' + FIELDS, "two columns 'title'"),
        (
            FIELDS + '[search.mapping.fields.title_url]\npath = "a"\n'
            '[search.mapping.fields.title]\npath = "b"\nmodality = "image"',
            "two columns 'title_url'; title_url is the address of an image",
        ),
        (
            '[search.mapping]\ncolumns = { image_url = "a" }'
            '[search.mapping.fields.image]\npath = "b"\nmodality = "image"',
            "two columns 'image_url'; image_url is the address of an image",
        ),
    ],
)
def test_columns_of_one_name_are_refused_before_anything_is_asked(
    tmp_path: Path, fields: str, message: str
) -> None:
    fields = fields.replace(
        FIELDS + "[search.mapping.fields.title_url]", "[search.mapping.fields.title_url]"
    )
    fields = fields.replace("}[", "}\n[")
    job = write_job(tmp_path, url="http://127.0.0.1:9", file="q.txt", fields=fields)
    with pytest.raises(InputError, match=message):
        load_job(job)


def test_numbers_of_any_length_are_read(tmp_path: Path) -> None:
    def long(handler: Handler, count: int) -> None:
        handler.answer(b'[{"title": "x", "price": ' + b"9" * 400 + b', "n": 12}]')

    (tmp_path / "q.txt").write_text("mug\n")
    columns = '[search.mapping]\ncolumns = { price = "price", n = "n" }' + FIELDS
    with serving({"/search": long}) as server:
        job = write_job(tmp_path, url=server.url, file="q.txt", fields=columns)
        data = collect(load_job(job), tmp_path / "out")
    assert data.documents.select("price", "n").row(0) == (None, 12.0)
