"""Mutants of good files through every reader and decoder, as many as there is time for.

`python tests/fuzz/run.py --mutants 100000 --jobs 2 --tally tally.json`; one that fails comes again
with `--start NUMBER --mutants 1`, the same seed and the same --only. The tally is read before and
written after: several calls add up. Mutants are read in other processes, so that one that crashes
or hangs is told like any other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

_HANGS = 300
_PART = 5000
_MOST = 12 << 30


def main() -> int:
    """Return 1 if a mutant fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--only", default="", help="targets whose names have this in them")
    parser.add_argument("--jobs", type=int, default=1, help="processes at one time")
    parser.add_argument("--tally", type=Path, help="a JSON file that counts what became of them")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        return _work(given)
    tally = Tally(given.tally)
    parts = range(given.start, given.start + given.mutants, _PART)
    ends = [min(part + _PART, given.start + given.mutants) for part in parts]
    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(lambda part, end: _supervise(given, part, end, tally), parts, ends))
    tally.show()
    return 1 if tally.wrong else 0


class Tally:
    """How many mutants of each target ended how, the slowest and the largest."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.wrong = path, 0
        self.lock = threading.Lock()
        self.targets: dict[str, dict[str, Any]] = {}
        if path is not None and path.is_file():
            self.targets = json.loads(path.read_text())

    def add(self, mutant: dict[str, Any], seed: int) -> None:
        with self.lock:
            none: dict[str, Any] = {"read": 0, "refused": 0, "wrong": 0, "seconds": 0, "memory": 0}
            of = self.targets.setdefault(mutant["target"], none)
            of[mutant["end"]] += 1
            of["seconds"] = max(of["seconds"], round(mutant["seconds"], 2))
            of["memory"] = max(of["memory"], mutant["memory"])
            if mutant["problem"]:
                self.wrong += 1
                told = f"seed {seed}, mutant {mutant['number']} of {mutant['target']}"
                print(f"{told}: {mutant['problem']}", flush=True)

    def save(self) -> None:
        with self.lock:
            if self.path is not None:
                self.path.write_text(json.dumps(dict(sorted(self.targets.items())), indent=1))

    def show(self) -> None:
        total = dict.fromkeys(("read", "refused", "wrong"), 0)
        for name, of in sorted(self.targets.items()):
            print(f"{name:32}", *(f"{key} {value}" for key, value in of.items()))
            for key in total:
                total[key] += of[key]
        print(f"{sum(total.values()):,} mutants: {total}")


def _supervise(given: argparse.Namespace, start: int, end: int, tally: Tally) -> None:
    """Let a worker read the mutants from `start` to `end`, and another go on after a crash."""
    while start < end:
        for mutant in _mutants_of_worker(given, start, end):
            tally.add(mutant, given.seed)
            start = mutant["number"] + 1
        tally.save()


def _mutants_of_worker(given: argparse.Namespace, start: int, end: int) -> Iterator[dict[str, Any]]:
    command = [sys.executable, __file__, "--worker", "--seed", str(given.seed)]
    command += ["--only", given.only, "--start", str(start), "--mutants", str(end - start)]
    # libraries write of their panics, which are not ours to read unless one mutant is looked at
    said = None if given.mutants == 1 else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as worker:
        try:
            while start < end:
                line = _line(worker)
                if not line:
                    worker.kill()
                    yield _failed(start, given.only, f"the process ended ({worker.wait()})")
                    return
                mutant = json.loads(line)
                yield mutant
                start = mutant["number"] + 1
        finally:
            worker.kill()


def _line(worker: subprocess.Popen[bytes]) -> bytes:
    """Return the next line, "" if the process ends or says nothing for long."""
    assert worker.stdout is not None
    watch = threading.Timer(_HANGS, worker.kill)
    watch.start()
    try:
        return worker.stdout.readline()
    finally:
        watch.cancel()


def _failed(number: int, only: str, how: str) -> dict[str, Any]:
    names = _names(only)
    name = names[number % len(names)]
    return {"number": number, "target": name, "end": "wrong", "problem": how} | {
        "seconds": 0,
        "memory": 0,
    }


def _names(only: str) -> list[str]:
    sys.path[:0] = [str(Path(__file__).parents[1])]
    from fuzz_mutants import target_names

    return target_names(only)


def _work(given: argparse.Namespace) -> int:
    """Print a line for each mutant."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (_MOST, _MOST))
    _names(given.only)
    from fuzz_mutants import mutants

    # what reads may print, in other languages too; the supervisor gets nothing but our lines
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for mutant in mutants(given.mutants, given.seed, given.start, given.only):
            print(json.dumps(asdict(mutant)), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
