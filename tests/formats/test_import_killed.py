"""An import that is killed leaves nothing at its output, and the next one makes the same bytes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from killing import kill_at_random, killable_commands

KILLS = 20


def export(folder: Path) -> Path:
    (folder / "p").mkdir(parents=True)
    for i in range(10):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(folder / "p" / f"{i}.png")
    lines = [f"d{i},Mug number {i},p/{i % 10}.png\n" for i in range(600)]
    (folder / "documents.csv").write_text("doc_id,title,photo\n" + "".join(lines))
    lines = [f"q{i},cup {i}\n" for i in range(300)]
    (folder / "queries.csv").write_text("query_id,query\n" + "".join(lines))
    lines = [f"q{q},d{d},{(q + d) % 7}\n" for q in range(300) for d in range(100)]
    (folder / "judgments.csv").write_text("query_id,doc_id,score\n" + "".join(lines))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_twenty_kills_leave_nothing_half_written(tmp_path: Path) -> None:
    source = export(tmp_path / "export")
    with killable_commands(
        "duckdb", "pyarrow.parquet", "rankfield.formats.tables.reading"
    ) as start:
        began = time.monotonic()
        assert start("import", "tables", source, tmp_path / "whole").wait() == 0
        seconds = time.monotonic() - began
        expected = contents(tmp_path / "whole")
        assert len(expected) == 14
        out = tmp_path / "folder" / "out"
        for attempt in kill_at_random(
            lambda: start("import", "tables", source, out), seconds, KILLS
        ):
            # either nothing is there, or all of it: an import that was done before the signal
            assert not out.exists() or contents(out) == expected
            left = [p for p in out.parent.iterdir() if p != out] if out.parent.exists() else []
            assert len(left) <= 1, "what was left before is removed by the next run"
            if out.exists():
                out.rename(tmp_path / f"done-{attempt}")
        assert start("import", "tables", source, out).wait() == 0
    assert contents(out) == expected
    assert [p.name for p in out.parent.iterdir()] == ["out"]
