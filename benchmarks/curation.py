"""Curation of a big data set, stage by stage: time and peak memory, beside pandas.

    python benchmarks/curation.py --scratch /tmp/curation

makes 5 million documents, 100 thousand queries and 10 million judgments (once; they are kept in
--scratch), runs import, check, labels, dedupe and split as a user runs them, and the same split
written plainly in pandas, and prints and writes the figures. Docs: docs/scale.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import rankfield
from curation_data import export
from rankfield.files import new_file, write_json

MOST_GIB = 3.0
MOST_SECONDS = 600.0
PANDAS = Path(__file__).with_name("curation_pandas.py")
RESULTS = Path(__file__).with_name("results") / "curation.json"


@dataclass(frozen=True)
class Stage:
    """What a command took: seconds, and the most memory its processes had at one time."""

    name: str
    seconds: float
    gib: float
    cpu_seconds: float


def main() -> None:
    options = _options()
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    os.sched_setaffinity(0, cores)
    source = export(options.scratch, options.documents, options.queries, options.per_query)
    events = _events(source)
    work = options.scratch / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    stages = [
        measure(name, [sys.executable, "-m", "rankfield.cli.main", *map(str, command)])
        for name, command in _chain(source, events, work, options.engine).items()
    ]
    peer = measure(
        "split in pandas", [sys.executable, str(PANDAS), str(work / "unique"), str(work / "pandas")]
    )
    shutil.rmtree(work)
    _report(options, len(cores), stages, peer)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--per-query", type=int, default=100)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--scratch", type=Path, default=Path("curation-scratch"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def _chain(source: Path, events: Path, work: Path, engine: str) -> dict[str, list[object]]:
    """Return the stages in order; labels only where this version has the command."""
    data, unique = work / "data", work / "unique"
    on = ["--engine", engine]
    field = ["--document-field", "title:text"]
    chain: dict[str, list[object]] = {
        "import tables": ["import", "tables", source, data, *field, *on],
        "check": ["check", data, *on],
        "labels": ["labels", events, work / "labels"],
        "dedupe": ["dedupe", data, unique, *on],
        "split": ["split", unique, work / "split", *on],
    }
    if importlib.util.find_spec("rankfield.cli.labels") is None:
        del chain["labels"]
    return chain


def measure(name: str, command: list[str]) -> Stage:
    """Run a command and return what it took; stop if it fails."""
    print(f"{name} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        most = max(most, _resident(process.pid))
        time.sleep(0.1)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"failed: {' '.join(command)}")
    # the kernel's own maximum of the process itself catches peaks between two looks
    most = max(most, usage.ru_maxrss)
    seconds = time.monotonic() - started
    return Stage(
        name, round(seconds, 1), round(most / 2**20, 2), round(usage.ru_utime + usage.ru_stime, 1)
    )


def _resident(root: int) -> int:
    """Return the KiB of memory that a process and all below it have now."""
    tree, total = [root], 0
    while tree:
        process = tree.pop()
        try:
            status = Path(f"/proc/{process}/status").read_text("utf-8")
            for task in Path(f"/proc/{process}/task").iterdir():
                tree += map(int, (task / "children").read_text("utf-8").split())
        except OSError:
            continue  # it has just ended
        total += sum(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    return total


def _events(source: Path) -> Path:
    """Return a log with an impression of every judged pair and a second of 30 %.

    It is made unless it is there. A click has probability position^-0.7, that of being looked at,
    times 0.05 + 0.6 of the score as a part of 100.
    """
    path = source / "events" / "events.parquet"
    if path.is_file():
        return path
    rng = np.random.default_rng(0)
    judged = pl.scan_csv(source / "judgments.csv").collect_batches(
        chunk_size=1_000_000, maintain_order=True
    )
    with new_file(path) as temporary:
        writer: pq.ParquetWriter | None = None
        for pairs in judged:
            batch = pl.concat([pairs, pairs.sample(fraction=0.3, seed=0)])
            score = batch["score"].to_numpy() / 100
            # some pairs are shown at two places: else no bias could be told from relevance
            position = rng.integers(1, 21, batch.height)
            chance = position**-0.7 * (0.05 + 0.6 * score)
            clicks = (rng.random(batch.height) < chance).astype(np.int32)
            rows: pa.Table = batch.select(
                "query_id",
                "doc_id",
                position=pl.Series(position.astype(np.int32)),
                clicks=pl.Series(clicks),
            ).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(temporary, rows.schema)
            writer.write_table(rows)
        if writer is not None:
            writer.close()
    return path


def _report(options: argparse.Namespace, cores: int, stages: list[Stage], peer: Stage) -> None:
    total = sum(stage.seconds for stage in stages)
    most = max(stage.gib for stage in stages)
    for stage in (*stages, peer):
        print(f"{stage.name:<16} {stage.seconds:>7.1f} s {stage.gib:>6.2f} GiB")
    print(f"{'chain':<16} {total:>7.1f} s {most:>6.2f} GiB")
    print(
        f"within {MOST_GIB:g} GiB: {most <= MOST_GIB}, {MOST_SECONDS:g} s: {total <= MOST_SECONDS}"
    )
    result = {
        "rankfield": rankfield.__version__,
        "documents": options.documents,
        "queries": options.queries,
        "judgments": options.queries * options.per_query,
        "engine": options.engine,
        "cores": cores,
        "python": platform.python_version(),
        "polars": pl.__version__,
        "seconds": round(total, 1),
        "gib": most,
        "stages": [asdict(stage) for stage in stages],
        "pandas": asdict(peer),
    }
    write_json(options.out, result)


if __name__ == "__main__":
    main()
