"""Arms of a benchmark that are timed in turns, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CLOCKS", "in_turns", "write_results"]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Runs = dict[str, list[dict[str, float]]]


def in_turns(rounds: Mapping[str, int]) -> Runs:
    """Run this program again for each round and arm, and return the figures of each arm.

    The program gets one option more, `--arm ARM`: it prints the figures as its last line.

    Args:
        rounds: arm → how often; the arms take turns in this order.
    """
    runs: Runs = {arm: [] for arm in rounds}
    for number in range(max(rounds.values())):
        for arm in (arm for arm in rounds if number < rounds[arm]):
            words = [sys.executable, *sys.argv, "--arm", arm]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            runs[arm].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number}, {arm}: {runs[arm][-1]}", flush=True)
    return runs


def write_results(options: argparse.Namespace, kept: Sequence[str], runs: Runs) -> dict[str, Any]:
    """Write the figures, and those options that they depend on, and return both."""
    found = {"settings": {key: getattr(options, key) for key in kept}, "arms": runs}
    options.results.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return found
