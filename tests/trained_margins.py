"""Run the tests of trained quantities over instruction sets, threads and seeds.

    python tests/trained_margins.py --threads 1 2 --seeds 0 1 2 default avx2 avx512

Prints the smallest margin of each assertion; exits with 1 if a test failed. As many settings run
at one time as there are processors for their threads.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Setting = tuple[str, int, int]


def main() -> int:
    parser = argparse.ArgumentParser(description="Tests of trained quantities on many processors.")
    parser.add_argument("sets", nargs="*", default=["default", "avx2", "avx512"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        margins = Path(folder, "margins.tsv")
        for threads in given.threads:
            with ThreadPoolExecutor(max(1, cores // threads)) as pool:
                settings = itertools.product(given.sets, [threads], given.seeds)
                failed += sum(pool.map(lambda setting: _fails(setting, margins), settings))
        _show(margins)
    print(f"{failed} settings failed")
    return int(failed > 0)


def _fails(setting: Setting, margins: Path) -> bool:
    instructions, threads, seed = setting
    variables = {
        "ATEN_CPU_CAPABILITY": instructions,
        "OMP_NUM_THREADS": str(threads),
        "TRAINED_SEED": str(seed),
        "TRAINED_MARGINS": str(margins),
    }
    command = [sys.executable, "-m", "pytest", "-m", "trained", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *_marked()],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().rpartition("\n")[2]
    print(f"{instructions}, {threads} threads, seed {seed}: {last}", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    return done.returncode != 0


def _marked() -> list[str]:
    """Return the files with such tests: to collect all of them takes longer than to run these."""
    files = Path(__file__).parent.rglob("test_*.py")
    return sorted(str(file) for file in files if "mark.trained" in file.read_text("utf-8"))


def _show(margins: Path) -> None:
    noticed: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for line in margins.read_text("utf-8").splitlines():
        margin, what, values = line.split("\t")
        noticed[what].append((float(margin), values))
    for what, margins_found in noticed.items():
        smallest, shown = min(margins_found)
        print(f"{smallest:8.4f}  {what}: {shown}, the smallest of {len(margins_found)}")


if __name__ == "__main__":
    sys.exit(main())
