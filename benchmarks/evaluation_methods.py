"""One method of `evaluation.py`, measured in a process of its own, so that peaks do not mix.

    python benchmarks/evaluation_methods.py METHOD FOLDER [--script PATH] [--queries N]

FOLDER has `queries.npy`, `documents.npy` and `judgments.json`. Prints one line of JSON: seconds of
each stage, MiB of the peak beyond what the inputs took, and figures to compare.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import public_script
from process_memory import reset_peak, resident

TOP = 1000

Table = dict[str, dict[str, int]]


class Stages:
    """Seconds of each named stage, and the peak of memory over all of them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        reset_peak()
        self._before = resident("VmRSS")

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what `work` does, timed; what it prints is swallowed."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            start = time.perf_counter()
            found = work()
            self.seconds[name] = time.perf_counter() - start
        return found

    def report(self, **more: Any) -> None:
        """Print the line of JSON."""
        peak = resident("VmHWM")
        memory = {"extra_mib": peak - self._before, "peak_mib": peak}
        print(json.dumps({"seconds": self.seconds, **memory, **more}))


def names_of(what: str, count: int) -> list[str]:
    """Return the ids of so many queries or documents."""
    return [f"{what}{row}" for row in range(count)]


def ours(folder: Path, precision: str) -> None:
    """Rankfield: exact search, then the same metrics as the script."""
    import polars as pl

    from rankfield.evaluation.marqo_gs import marqo_gs_metrics
    from rankfield.schema import SplitView
    from rankfield.search import exact_search

    queries, documents = _inputs(folder)
    view = SplitView(
        "all",
        pl.DataFrame({"query_id": names_of("q", len(queries))}),
        pl.DataFrame({"doc_id": names_of("d", len(documents))}),
        _judgment_frame(_judgments(folder)),
    )
    exact_search(queries[:8], documents[:5000], 10)  # what a first call loads
    stages = Stages()
    hits = stages("search", lambda: exact_search(queries, documents, TOP, precision=precision))
    figures = stages("metrics", lambda: marqo_gs_metrics(view, hits))
    stages.report(figures=figures)


def ours_from_file(folder: Path, precision: str) -> None:
    """Rankfield's search alone, in a memory-mapped file."""
    from rankfield.search import exact_search

    queries = np.load(folder / "queries.npy")
    documents = np.load(folder / "documents.npy", mmap_mode="r")
    stages = Stages()
    search = stages("search", lambda: exact_search(queries, documents, TOP, precision=precision))
    stages.report(checksum=int(search.indices.sum()))


def faiss_flat(folder: Path) -> None:
    """Faiss's flat search alone."""
    import faiss

    queries, documents = _inputs(folder)
    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(documents)
    index.search(queries[:8], TOP)
    stages = Stages()
    stages("search", lambda: index.search(queries, TOP))
    stages.report()


def script_faiss(folder: Path, script: Path) -> None:
    """The public script's path through faiss: index, search and dictionaries, then its metrics."""
    import torch

    module = public_script.load(script)
    queries, documents = (torch.from_numpy(array) for array in _inputs(folder))
    names, ids = names_of("q", len(queries)), names_of("d", len(documents))
    judgments = _judgments(folder)
    stages = Stages()
    retrieved = stages(
        "search", lambda: module.run_queries_cpu(names, queries, ids, documents, TOP)
    )
    figures = stages("metrics", lambda: public_script.evaluate(module, judgments, retrieved, TOP))
    stages.report(figures=figures)


def script_default(folder: Path, script: Path, count: int) -> None:
    """The public script's default, a cosine call a query, for `count` queries."""
    import torch

    module = public_script.load(script)
    queries, documents = (torch.from_numpy(array) for array in _inputs(folder))
    ids, judgments = names_of("d", len(documents)), _judgments(folder)
    names = names_of("q", len(queries))[:count]
    some = {name: judgments[name] for name in names}
    stages = Stages()
    with public_script.cuda_is_cpu():
        retrieved = stages(
            "search", lambda: module.run_queries(names, queries[:count], ids, documents, TOP)
        )
    stages("metrics", lambda: public_script.evaluate(module, some, retrieved, TOP))
    stages.seconds = {k: s * len(queries) / count for k, s in stages.seconds.items()}
    stages.report(measured_queries=count)


def _inputs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "queries.npy"), np.load(folder / "documents.npy")


def _judgments(folder: Path) -> Table:
    found: Table = json.loads((folder / "judgments.json").read_text("utf-8"))
    return found


def _judgment_frame(judgments: Table) -> Any:
    import polars as pl

    rows = [(q, d, g) for q, grades in judgments.items() for d, g in grades.items()]
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")


def main() -> None:
    """Measure one method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("method")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--queries", type=int, default=20)
    arguments = parser.parse_args()
    folder, script = arguments.folder, arguments.script
    methods: dict[str, Callable[[], None]] = {
        "rankfield": lambda: ours(folder, "auto"),
        "rankfield-float32": lambda: ours(folder, "float32"),
        "rankfield-file": lambda: ours_from_file(folder, "auto"),
        "rankfield-file-float32": lambda: ours_from_file(folder, "float32"),
        "faiss": lambda: faiss_flat(folder),
        "script-faiss": lambda: script_faiss(folder, script),
        "script-default": lambda: script_default(folder, script, arguments.queries),
    }
    if arguments.method not in methods:
        sys.exit(f"expected one of {', '.join(methods)}")
    methods[arguments.method]()


if __name__ == "__main__":
    main()
