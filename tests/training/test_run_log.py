from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from rankfield.training.run_log import RunLog

GOOD = '{"step": 1, "loss": NaN}\n'


@pytest.mark.parametrize(
    "line", ['{"step": "2"}', "[" * 5000 + "]" * 5000, '{"step": ' + "9" * 5000 + "}", "[1]", "{"]
)
def test_a_damaged_line_and_what_follows_are_cut(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{GOOD}{line}\n{GOOD}")
    RunLog(path, SimpleNamespace(is_main_process=True)).cut(5)
    assert path.read_text() == GOOD
