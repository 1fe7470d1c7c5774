"""`benchmarks/gpu.py` runs through without a GPU, so that it is known to work with one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
SECTIONS = ("losses", "equality", "search", "embedding", "training")


def test_the_gpu_check_runs_on_the_cpu(tmp_path: Path) -> None:
    results = tmp_path / "gpu.json"
    words = [sys.executable, str(SCRIPT), "--small", "--only", *SECTIONS]
    subprocess.run([*words, "--results", str(results)], check=True, timeout=250)
    found = json.loads(results.read_text("utf-8"))["sections"]
    assert set(found) == set(SECTIONS)
    rows = {name: section["rows"] for name, section in found.items()}
    assert not [row for section in rows.values() for row in section if "failed" in row]
    assert rows["search"][-1] == {"equal to the CPU, to the bit": True}
    assert len(rows["losses"]) == 18
    assert len(rows["equality"]) == 9
    assert all(float(row["value"]) < 1e-6 for row in rows["equality"])
    for name, key in (("embedding", "texts/s"), ("training", "pairs/s")):
        assert [row["arm"] for row in rows[name]] == ["rankfield", "sentence-transformers"]
        assert all(row[key] > 0 for row in rows[name])
