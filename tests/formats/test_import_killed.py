"""An import that is killed leaves nothing at its output, and the next one makes the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

KILLS = 20
SCRIPT = """
import sys
from rankfield.formats.tables.reading import import_folder
print("ready", flush=True)
sys.stdin.readline()
import_folder(sys.argv[1], sys.argv[2])
"""


def export(folder: Path) -> Path:
    (folder / "p").mkdir(parents=True)
    for i in range(10):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(folder / "p" / f"{i}.png")
    lines = [f"d{i},Mug number {i},p/{i % 10}.png\n" for i in range(3000)]
    (folder / "documents.csv").write_text("doc_id,title,photo\n" + "".join(lines))
    lines = [f"q{i},cup {i}\n" for i in range(300)]
    (folder / "queries.csv").write_text("query_id,query\n" + "".join(lines))
    lines = [f"q{q},d{d},{(q + d) % 7}\n" for q in range(300) for d in range(100)]
    (folder / "judgments.csv").write_text("query_id,doc_id,score\n" + "".join(lines))
    return folder


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    """Return a process that has loaded everything and begins when it is told to."""
    command = [sys.executable, "-c", SCRIPT, str(source), str(out)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[bytes]) -> int:
    with process:
        return process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_twenty_kills_leave_nothing_half_written(tmp_path: Path) -> None:
    source = export(tmp_path / "export")
    process = start(source, tmp_path / "whole")
    began = time.monotonic()
    go(process)
    assert finish(process) == 0
    seconds = time.monotonic() - began
    expected = contents(tmp_path / "whole")
    assert len(expected) == 14
    moments = random.Random(0)
    out = tmp_path / "folder" / "out"
    killed = 0
    for _ in range(KILLS):
        process = start(source, out)
        go(process)
        time.sleep(moments.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        code = finish(process)
        killed += code == -signal.SIGKILL
        # either nothing is there, or all of it: an import that was done before the signal
        assert not out.exists() or contents(out) == expected
        left = [p for p in out.parent.iterdir() if p != out] if out.parent.exists() else []
        assert len(left) <= 1, "what was left before is removed by the next run"
        if out.exists():
            out.rename(tmp_path / "done")
            assert contents(tmp_path / "done") == expected
            (tmp_path / "done").rename(tmp_path / f"done-{moments.random()}")
    assert killed >= KILLS // 2
    process = start(source, out)
    go(process)
    assert finish(process) == 0
    assert contents(out) == expected
    assert [p.name for p in out.parent.iterdir()] == ["out"]
