"""Evaluation from embeddings to all metrics, against the public GCL script and faiss.

    python benchmarks/evaluation.py --script eval_gs_v1.py       2,000 × 200,000 × 512, top 1,000
    python benchmarks/evaluation.py --script eval_gs_v1.py --small        a quick look
    python benchmarks/evaluation.py --five-million --scratch FOLDER       from a 10 GB file

`public_script.py` says where the script comes from. Each method runs in a process of its own, all
of them in turn in every round; the figures are medians over the rounds. The script's default, a
cosine call a query, is measured on the first queries and extrapolated. Embeddings are random unit
vectors; half of a query's judged documents are among its best 1,000. Writes
results/evaluation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import public_script

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "evaluation.json"
TOP, WIDTH, JUDGED = 1000, 512, 100
CHUNK = 100_000

METHODS = {
    "rankfield": "rankfield",
    "rankfield-float32": "rankfield, float32 products",
    "script-default": "(a) public script, its default",
    "script-faiss": "(b) public script, its faiss path",
    "faiss": "(c) faiss flat search alone",
}

Found = dict[str, Any]


def unit_rows(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return random unit vectors, float32 (rows, WIDTH)."""
    made = rng.standard_normal((rows, WIDTH), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def write_embeddings(folder: Path, queries: int, documents: int, seed: int) -> None:
    """Write both sides as .npy files, a chunk at a time."""
    rng = np.random.default_rng(seed)
    np.save(folder / "queries.npy", unit_rows(rng, queries))
    header = {"descr": "<f4", "fortran_order": False, "shape": (documents, WIDTH)}
    with (folder / "documents.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, documents, CHUNK):
            file.write(unit_rows(rng, min(CHUNK, documents - start)).tobytes())


def write_judgments(folder: Path, seed: int) -> None:
    """Grade JUDGED documents of each query 1–100: half of them among its best."""
    from rankfield.search import exact_search

    documents = np.load(folder / "documents.npy", mmap_mode="r")
    best = exact_search(np.load(folder / "queries.npy"), documents, TOP).indices
    rng = np.random.default_rng(seed + 1)
    judgments = {}
    for query, rows in enumerate(best):
        near = rng.choice(rows, JUDGED // 2, replace=False)
        far = rng.integers(0, len(documents), JUDGED // 2)
        grades = rng.integers(1, 101, JUDGED)
        chosen = zip([*near.tolist(), *far.tolist()], grades.tolist(), strict=True)
        judgments[f"q{query}"] = {f"d{row}": grade for row, grade in chosen}
    (folder / "judgments.json").write_text(json.dumps(judgments), "utf-8")


def measured(method: str, folder: Path, *options: str) -> Found:
    """Return what one method's own process says."""
    command = [sys.executable, str(HERE / "evaluation_methods.py"), method, str(folder), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    total = sum(found["seconds"].values())
    print(f"  {method}: {total:,.2f} s, {found['extra_mib']:,.0f} MiB", flush=True)
    return found


def summary(rounds: list[Found]) -> Found:
    """Return the medians over rounds of one method; of memory the largest."""
    stages = rounds[0]["seconds"]
    return {
        "seconds": {s: statistics.median(r["seconds"][s] for r in rounds) for s in stages},
        "total": statistics.median(sum(r["seconds"].values()) for r in rounds),
        "extra_mib": max(r["extra_mib"] for r in rounds),
        "peak_mib": max(r["peak_mib"] for r in rounds),
        "rounds": [r["seconds"] for r in rounds],
    }


def flat(figures: Found, prefix: str = "") -> dict[str, float]:
    """Return nested figures under joined names."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= flat(value, f"{key}/")
        else:
            found[key] = float(value[0] if isinstance(value, list) else value)
    return found


def largest_difference(ours: Found, theirs: Found) -> tuple[float, str, int]:
    """Return by how much a figure differs at most, which one, and how many are compared."""
    left, right = flat(ours), flat(theirs)
    shared = left.keys() & right.keys()
    worst = max(shared, key=lambda name: abs(left[name] - right[name]))
    return abs(left[worst] - right[worst]), worst, len(shared)


def compare(arguments: argparse.Namespace, folder: Path) -> Found:
    """Measure all methods and return the record."""
    queries, documents = (200, 20_000) if arguments.small else (2_000, 200_000)
    print(f"{queries:,} queries × {documents:,} documents × {WIDTH}, top {TOP:,}")
    write_embeddings(folder, queries, documents, arguments.seed)
    write_judgments(folder, arguments.seed)
    script = ("--script", str(arguments.script))
    rounds: dict[str, list[Found]] = {method: [] for method in METHODS}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}")
        for method, found in rounds.items():
            options = script if method.startswith("script") else ()
            found.append(measured(method, folder, *options))
    difference, name, shared = largest_difference(
        rounds["rankfield"][0]["figures"], rounds["script-faiss"][0]["figures"]
    )
    same = all(
        f["figures"] == rounds["rankfield"][0]["figures"]
        for m in rounds
        for f in rounds[m]
        if m.startswith("rankfield")
    )
    return {
        "size": {"queries": queries, "documents": documents, "width": WIDTH, "top": TOP},
        "methods": {method: summary(found) for method, found in rounds.items()},
        "script_sha256": public_script.fingerprint(arguments.script),
        "figures": {
            "compared": shared,
            "largest_difference": difference,
            "of": name,
            "same_in_both_precisions": same,
        },
        "made": made(arguments),
    }


def ratios(record: Found) -> dict[str, float]:
    """Return how many times longer the peers take."""
    methods = record["methods"]
    ours = methods["rankfield"]
    return {
        "(a) / rankfield, all": methods["script-default"]["total"] / ours["total"],
        "(b) / rankfield, all": methods["script-faiss"]["total"] / ours["total"],
        "(c) / rankfield, search": methods["faiss"]["seconds"]["search"]
        / ours["seconds"]["search"],
        "metrics of (b) / rankfield's": methods["script-faiss"]["seconds"]["metrics"]
        / ours["seconds"]["metrics"],
    }


def show(record: Found) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    size = record["size"]
    table = Table(title=" × ".join(f"{size[n]:,}" for n in ("queries", "documents", "width")))
    for column in ("method", "search s", "metrics s", "all s", "extra MiB"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for method, found in record["methods"].items():
        stages = found["seconds"]
        table.add_row(
            METHODS.get(method, method),
            f"{stages['search']:,.2f}",
            f"{stages['metrics']:,.3f}" if "metrics" in stages else "–",
            f"{found['total']:,.2f}",
            f"{found['extra_mib']:,.0f}",
        )
    console = Console()
    console.print(table)
    for name, ratio in record.get("ratios", {}).items():
        console.print(f"{name}: {ratio:,.2f}")
    if "figures" in record:
        figures = record["figures"]
        console.print(
            f"{figures['compared']} figures compared with the script's: at most "
            f"{figures['largest_difference']:.2g} apart ({figures['of']})"
        )


def five_million(arguments: argparse.Namespace, folder: Path) -> Found:
    """Search 5,000,000 documents in a memory-mapped file and return the record."""
    queries, documents = (200, 100_000) if arguments.small else (2_000, 5_000_000)
    print(f"writing {documents * WIDTH * 4 / 2**30:,.1f} GiB to {folder}")
    write_embeddings(folder, queries, documents, arguments.seed)
    methods = ("rankfield-file", "rankfield-file-float32")
    rounds = {method: [measured(method, folder)] for method in methods}
    return {
        "size": {"queries": queries, "documents": documents, "width": WIDTH, "top": TOP},
        "methods": {method: summary(found) for method, found in rounds.items()},
        "same_in_both_precisions": len({r[0]["checksum"] for r in rounds.values()}) == 1,
        "made": made(arguments),
    }


def made(arguments: argparse.Namespace) -> Found:
    """Return how the record came about."""
    import faiss
    import torch

    from rankfield import __version__

    return {
        "command": f"python benchmarks/evaluation.py {' '.join(sys.argv[1:])}".strip(),
        "seed": arguments.seed,
        "rankfield": __version__,
        "torch": torch.__version__,
        "faiss": faiss.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_at_end": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--script", type=Path, help="a copy of the public eval_gs_v1.py")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--five-million", action="store_true")
    parser.add_argument("--scratch", type=Path, help="where to put the embeddings meanwhile")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not arguments.five_million and arguments.script is None:
        parser.error("--script is needed: public_script.py says where it comes from")
    folder = Path(tempfile.mkdtemp(prefix="rankfield-", dir=arguments.scratch))
    try:
        record = (five_million if arguments.five_million else compare)(arguments, folder)
    finally:
        shutil.rmtree(folder)
    if not arguments.five_million:
        record["ratios"] = ratios(record)
    show(record)
    kept = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else {}
    name = "five_million" if arguments.five_million else "comparison"
    if not arguments.small:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(kept | {name: record}, indent=2) + "\n", "utf-8")
        print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
