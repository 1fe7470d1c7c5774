"""The page of results is what its script makes of the figures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_page_is_what_its_script_writes(tmp_path: Path) -> None:
    copy = tmp_path / "benchmarks"
    shutil.copytree(BENCHMARKS, copy)
    (copy / "RESULTS.md").unlink()
    subprocess.run([sys.executable, str(copy / "results_page.py")], check=True)
    written = (copy / "RESULTS.md").read_text("utf-8")
    assert written == (BENCHMARKS / "RESULTS.md").read_text("utf-8")
