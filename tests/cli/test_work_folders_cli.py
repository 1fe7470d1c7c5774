"""Every command with a work folder leaves alone what stands where it belongs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from rankfield.cli.main import main
from rankfield.judging.rubric import RUBRIC_TEMPLATE
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.work_folder import work_folder

NOWHERE = "http://127.0.0.1:9"
"""A request there would be refused, and with another message."""


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    rows = [f"q{i % 5},d{i % 7},{i % 10 + 1},{i % 3 == 0:d}" for i in range(200)]
    (folder / "events.csv").write_text("query_id,doc_id,position,clicked\n" + "\n".join(rows))
    (folder / "rubric.toml").write_text(RUBRIC_TEMPLATE)
    (folder / "queries.txt").write_text("red mug\n")
    (folder / "job.toml").write_text(
        f"""
        [queries]
        file = "queries.txt"
        [search]
        kind = "json"
        url = "{NOWHERE}/search"
        params = {{ q = "{{query}}" }}
        [search.mapping.fields.title]
        path = "title"
        """
    )
    RankingDataset(
        name="data",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 3, 2),
        queries=pl.DataFrame({"query_id": ["q"], "query": ["red mug"]}),
        documents=pl.DataFrame({"doc_id": ["d"], "title": ["mug"]}),
        judgments=pl.DataFrame({"query_id": ["q"], "doc_id": ["d"], "score": [1.0]}),
    ).save(folder / "data")
    return folder


COMMANDS = {
    "labels": ("labels", "{in}/events.csv", "{out}"),
    "collect": ("collect", "{in}/job.toml", "{out}"),
    "judge": (
        *("judge", "{in}/data", "{out}", "--rubric", "{in}/rubric.toml"),
        *("--endpoint", f"{NOWHERE}/v1", "--model", "m"),
    ),
    "cross-encoder": ("judge", "{in}/data", "{out}", "--cross-encoder", "{in}/no-model"),
}


def _link(path: Path, command: str) -> None:
    path.symlink_to("victim")


def _another_folder(path: Path, command: str) -> None:
    shutil.copytree(path.with_name("victim"), path)


def _links_inside(path: Path, command: str) -> None:
    path.mkdir()
    for name in ("journal.jsonl", "requests.jsonl", "counted.json", "statistics.parquet"):
        (path / name).symlink_to("../victim/precious")


def _unpacked(path: Path, command: str) -> None:
    with work_folder(path.with_name("another"), command, names=()):
        pass
    shutil.copytree(path.with_name("another"), path)
    (path / "precious").write_text("precious")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("trap", [_link, _another_folder, _links_inside, _unpacked])
def test_another_folder_in_the_way_is_refused_and_whole(
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    trap: Callable[[Path, str], None],
) -> None:
    here = inputs.with_name("here")
    (here / "victim" / "deep").mkdir(parents=True)
    for place in ("precious", "deep/precious"):
        (here / "victim" / place).write_text("precious, without a line's end")
    name = ".out.partial" if command == "labels" else "out.partial"
    trap(here / name, "judge" if command == "cross-encoder" else command)
    before = {p: p.read_bytes() if p.is_file() else b"" for p in here.rglob("*")}
    words = [w.replace("{in}", str(inputs)).replace("{out}", str(here / "out"))
             for w in COMMANDS[command]]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["rankfield", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"{name}: another's folder is in the way" in said
    assert "Nothing in it was touched" in said
    assert {p: p.read_bytes() if p.is_file() else b"" for p in here.rglob("*")} == before
