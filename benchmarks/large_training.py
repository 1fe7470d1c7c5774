"""From `rankfield train` to its first step, on data that does not fit: seconds and memory.

    python benchmarks/large_training.py --scratch /tmp/large

makes 5 million documents, 100 thousand queries and 10 million judgments (once; they are kept in
--scratch), and a quarter and a sixteenth of them, and starts a training of each twice: with an
empty cache, and with the one that the first start filled. A small text encoder is trained, so that
what is measured is the data's. Docs: docs/scale.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

import rankfield
from curation_data import export
from rankfield.files import write_json

MOST_SECONDS, MOST_GIB = 20.0, 3.0
PARTS = (16, 4, 1)
RESULTS = Path(__file__).with_name("results") / "large_training.json"
RECIPE = """
log_every = 1
trackers = []
[optimizer]
steps = 2
[dev]
every = "off"
"""
KIB = {"VmHWM": "peak_gib", "RssAnon": "peak_anonymous_gib"}


@dataclass(frozen=True)
class Start:
    """What a training took until its first step was made.

    seconds: by the clock; cpu_seconds: of all its threads.
    peak_gib: the most resident memory, pages of mapped files included.
    peak_anonymous_gib: the most without them, by looks every 20 ms.
    anonymous_gib: without them, at the first step.
    """

    judgments: int
    documents: int
    cache: str
    seconds: float
    cpu_seconds: float
    peak_gib: float
    peak_anonymous_gib: float
    anonymous_gib: float


def main() -> None:
    options = _options()
    recipe = options.scratch / "recipe.toml"
    options.scratch.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE, "utf-8")
    starts = [_smallest(recipe, options.scratch)]
    for part in PARTS:
        size = (options.documents // part, options.queries // part, options.per_query)
        data = _data(options.scratch, *size)
        cache = options.scratch / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        for state in ("empty", "filled"):
            starts.append(_start(recipe, data, (cache, state), size[1] * size[2], size[0]))
            print(starts[-1], file=sys.stderr, flush=True)
        shutil.rmtree(cache, ignore_errors=True)
    _report(options.out, starts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--per-query", type=int, default=100)
    parser.add_argument("--scratch", type=Path, default=Path("large-training-scratch"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def _data(scratch: Path, documents: int, queries: int, per_query: int) -> Path:
    """Return a data set folder, made unless it is there."""
    source = export(scratch, documents, queries, per_query)
    data = source.with_name(f"{source.name}-data")
    if not data.is_dir():
        command = ["import", "tables", str(source), str(data), "--document-field", "title:text"]
        subprocess.run(
            [sys.executable, "-m", "rankfield", *command], check=True, stdout=subprocess.DEVNULL
        )
    return data


def _smallest(recipe: Path, scratch: Path) -> Start:
    """Start a training of a small shop: what the program itself takes."""
    data = scratch / "small"
    if not data.is_dir():
        rankfield.sample_shop(data, documents=500, queries=50, images=False)
    judgments = rankfield.RankingDataset.load(data).judgments.height
    return _start(recipe, data, (scratch / "cache", "not used"), judgments, 500)


def _start(
    recipe: Path, data: Path, cache: tuple[Path, str], judgments: int, documents: int
) -> Start:
    """Train two steps, and return what the first took."""
    run = data.with_name("run")
    shutil.rmtree(run, ignore_errors=True)
    command = ["train", str(recipe), "--out", str(run), "--set", f"data.dataset={data}"]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "rankfield", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "RANKFIELD_CACHE": str(cache[0])},
    )
    most = dict.fromkeys(KIB.values(), 0.0)
    while not _has_stepped(run):
        if process.poll() is not None:
            sys.exit(f"failed: {' '.join(command)}")
        for name, gib in _memory(process.pid):
            most[name] = max(most[name], gib)
        time.sleep(0.02)
    seconds, used = time.monotonic() - started, dict(_memory(process.pid))
    cpu = _cpu_seconds(process.pid)
    process.wait()
    shutil.rmtree(run, ignore_errors=True)
    anonymous = used.get("peak_anonymous_gib", 0.0)
    figures = [seconds, cpu, most["peak_gib"], most["peak_anonymous_gib"], anonymous]
    return Start(judgments, documents, cache[1], *(round(figure, 2) for figure in figures))


def _has_stepped(run: Path) -> bool:
    log = run / "log.jsonl"
    return log.is_file() and '"train"' in log.read_text("utf-8")


def _memory(process: int) -> Iterator[tuple[str, float]]:
    try:
        status = Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:  # it has just ended
        return
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in KIB:
            yield KIB[name], int(value.split()[0]) / 2**20


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _report(out: Path, starts: list[Start]) -> None:
    print("judgments   documents  cache     seconds  CPU s  peak GiB  anonymous peak, at step")
    for one in starts:
        print(
            f"{one.judgments:>10,} {one.documents:>10,}  {one.cache:<8} {one.seconds:>8.1f} "
            f"{one.cpu_seconds:>6.1f} {one.peak_gib:>9.2f} {one.peak_anonymous_gib:>9.2f} "
            f"{one.anonymous_gib:>9.2f}"
        )
    largest, base = starts[-1], starts[0]
    grown = (largest.anonymous_gib - base.anonymous_gib) * 2**30
    each = grown / (largest.judgments + largest.documents)
    print(f"memory at the first step, for each judgment and document: {each:.1f} bytes")
    met = max(start.seconds for start in starts) <= MOST_SECONDS
    print(
        f"within {MOST_SECONDS:g} s: {met}, {MOST_GIB:g} GiB: "
        f"{max(start.peak_gib for start in starts) <= MOST_GIB}"
    )
    result = {
        "rankfield": rankfield.__version__,
        "python": platform.python_version(),
        "polars": pl.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "bytes_for_each": round(each, 1),
        "starts": [asdict(start) for start in starts],
    }
    write_json(out, result)


if __name__ == "__main__":
    main()
