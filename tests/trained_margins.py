"""Run the tests of trained quantities over processors, threads and seeds.

Prints the smallest margin of each assertion; exits with 1 if a test failed. Arguments choose the
instruction sets: `default avx2 avx512` where none is given.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

THREADS = (1, 2)
SEEDS = (0, 1, 2)


def _run(sets: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "margins.tsv")
        failed = 0
        for instructions, threads, seed in itertools.product(sets, THREADS, SEEDS):
            print(f"{instructions}, {threads} threads, seed {seed}", flush=True)
            setting = {
                "ATEN_CPU_CAPABILITY": instructions,
                "OMP_NUM_THREADS": str(threads),
                "TRAINED_SEED": str(seed),
                "TRAINED_MARGINS": str(file),
            }
            command = [sys.executable, "-m", "pytest", "-m", "trained"]
            failed += subprocess.run(command, env=os.environ | setting, check=False).returncode != 0
        margins: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for noted in file.read_text("utf-8").splitlines():
            margin, what, found = noted.split("\t")
            margins[what].append((float(margin), found))
    for what, noticed in margins.items():
        smallest, shown = min(noticed)
        print(f"{smallest:8.4f}  {what}: {shown}, the smallest of {len(noticed)}")
    print(f"{failed} settings failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:] or ["default", "avx2", "avx512"]))
