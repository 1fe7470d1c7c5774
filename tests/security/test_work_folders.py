"""What stands where a run's work folder or its output belongs, of random kinds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import bounded, tables, write_dataset
from misbehaving_server import serving
from rankfield.judging.rubric import RUBRIC_TEMPLATE

FILES = (
    *("journal.jsonl", "requests.jsonl", "counted.json", "statistics.parquet", "staged-a1"),
    *(".rankfield.json", "dataset", "photos", "votes.parquet", "thesis.tex", "identity.json"),
)


def _link_to_private(path: Path, private: Path) -> None:
    path.symlink_to(private)


def _link_to_file(path: Path, private: Path) -> None:
    path.symlink_to(private / "secret.txt")


def _hard_link(path: Path, private: Path) -> None:
    path.with_name("precious").write_text("precious")
    os.link(path.with_name("precious"), path)


def _folder(path: Path, private: Path) -> None:
    path.mkdir()
    (path / "precious").write_text("precious")


def _fifo(path: Path, private: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path, private: Path) -> None:
    path.symlink_to("nowhere")


MAKERS: list[Callable[[Path, Path], None]] = [
    *(_link_to_private, _link_to_file, _hard_link, _folder, _fifo, _dangling)
]
JOB = """
[queries]
file = "queries.txt"
[search]
kind = "json"
url = "{url}/search"
params = {{ q = "{{query}}" }}
[search.mapping.fields.title]
path = "title"
[limits]
allow_private = true
backoff = 0.001
"""


@given(
    command=st.sampled_from(("labels", "collect", "judge")),
    whole=st.none() | st.sampled_from(MAKERS),
    within=st.dictionaries(st.sampled_from(FILES), st.sampled_from(MAKERS), max_size=3),
    mark=st.none() | st.sampled_from(("own", "number", "[]", "{", '{"command": 1, "folder": []}')),
)
@bounded(12)
def test_what_is_in_the_way_stays(
    tmp_path_factory: pytest.TempPathFactory,
    command: str,
    whole: Callable[[Path, Path], None] | None,
    within: dict[str, Callable[[Path, Path], None]],
    mark: str | None,
) -> None:
    routes = {
        "/search": lambda handler, _: handler.json([{"title": "mug"}]),
        "/v1/chat/completions": lambda handler, _: handler.json(
            {"choices": [{"message": {"content": '{"grade": 1}'}}]}
        ),
    }
    with serving(routes) as server:
        place = Confined(tmp_path_factory.mktemp("work"), [server.server_address[1]])
        rows = [f"q{i % 5},d{i % 7},{i % 10 + 1},{i % 3 == 0:d}" for i in range(60)]
        (place.theirs / "e.csv").write_text("query_id,doc_id,position,clicked\n" + "\n".join(rows))
        (place.theirs / "rubric.toml").write_text(RUBRIC_TEMPLATE)
        (place.theirs / "queries.txt").write_text("red mug\n")
        (place.theirs / "job.toml").write_text(JOB.format(url=server.url))
        write_dataset(place.theirs / "data", tables())
        work = place.here / (".out.partial" if command == "labels" else "out.partial")
        if whole is not None:
            whole(work, place.private)
        else:
            work.mkdir()
            for name, maker in within.items():
                maker(work / name, place.private)
            if mark is not None and ".rankfield.json" not in within:
                number = work.stat().st_ino + (mark == "number")
                made = {"rankfield": "0", "command": command, "folder": number}
                text = json.dumps(made) if mark in ("own", "number") else mark
                (work / ".rankfield.json").write_text(text)
        asked = (*("--rubric", place.theirs / "rubric.toml", "--per-query", "1", "--votes", "1"),
                 *("--endpoint", f"{server.url}/v1", "--model", "m"),
                 *("--requests-per-second", "1000"))  # fmt: skip
        words = {
            "labels": ("labels", place.theirs / "e.csv", "out"),
            "collect": ("collect", place.theirs / "job.toml", "out"),
            "judge": ("judge", place.theirs / "data", "out", *asked),
        }[command]
        # a folder that carries the mark of this command and its own number is a run's: it may go
        own = mark == "own" and whole is None and ".rankfield.json" not in within
        said = place.run(*words, outputs=["out", work.name] if own else ["out"])
        assert said.code == 2 or own
