"""How time and memory of a step grow: with the batch, documents, fields, the corpus, processes.

    python benchmarks/scaling.py             all points, the figures and the plots (minutes)
    python benchmarks/scaling.py --plot      the plots again, from the figures

Each point is a process of its own with one thread. Time is processor time, which neighbours on
the machine hardly change, the least of the rounds after the first; memory is the peak of the first
beyond what was resident before it. An exponent is the slope of a straight line through the
logarithms of all points of a series, by least squares; the last one is that of the two largest
points. Figures go to benchmarks/results/scaling.json, plots to docs/scaling.svg.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional as F

from process_memory import peak_beyond
from scaling_training import QUERIES, of_training

HERE = Path(__file__).parent
RESULTS, PLOTS = HERE / "results" / "scaling.json", HERE.parent / "docs" / "scaling.svg"
SERIES: dict[str, tuple[str, list[int]]] = {
    "batch": ("judged pairs of a batch, loss alone", [1024, 2048, 4096, 8192, 16384]),
    "documents": (f"documents of a query, {QUERIES} queries, training step", [1, 2, 4, 8, 16]),
    "fields": ("text fields of a document, training step", [1, 2, 4, 8]),
    "corpus": (
        "documents of a corpus, 256 queries, best 100",
        [20000, 80000, 320000, 1280000],
    ),
    "processes": ("processes, loss of 8,192 pairs, each", [1, 2, 4]),
}
WIDTH, ROUNDS = 128, 3


def main() -> None:
    """Measure the points, write figures and plots, print the exponents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--plot", action="store_true")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--point", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        torch.set_num_threads(1)
        print(json.dumps(point(*options.point)))
        return
    found = json.loads(options.results.read_text("utf-8")) if options.results.exists() else {}
    for name in [] if options.plot else options.series:
        found[name] = [{"x": x} | measured(name, x) for x in SERIES[name][1]]
        options.results.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        print(name, found[name], flush=True)
    for name, points in found.items():
        for key in ("seconds", "mib"):
            print(name, key, *(f"{x:.2f}" for x in exponents(points, key)))
    plot(found)


def measured(name: str, x: int) -> dict[str, float]:
    """Return the figures of a point: of several processes the slowest's time."""
    words = [sys.executable, __file__, "--point", name, str(x)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        ranks = range(x if name == "processes" else 1)
        started = [
            subprocess.Popen(
                [*words, str(rank), folder], env=environment, stdout=subprocess.PIPE, text=True
            )
            for rank in ranks
        ]
        said = [one.communicate()[0] for one in started]
    if any(one.returncode for one in started):
        raise SystemExit(f"{name} {x} failed")
    found = [json.loads(text.splitlines()[-1]) for text in said]
    return {key: max(one[key] for one in found) for key in found[0]}


def point(name: str, size: str, rank: str, folder: str) -> dict[str, float]:
    """Return seconds of processor time and MiB of a step."""
    step = POINTS[name](int(size), int(rank), Path(folder))
    mib = peak_beyond(step)
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        step()
        seconds.append(time.process_time() - start)
    return {"seconds": min(seconds), "mib": mib}


def loss_step(size: int, *, distributed: bool = False) -> Callable[[], None]:
    """Return forward and backward of `gcl` in tiles, none of them kept."""
    from rankfield.losses import tiled_contrastive_loss

    g = torch.Generator().manual_seed(0)
    sides = [F.normalize(torch.randn(size, WIDTH, generator=g), dim=-1) for _ in range(2)]
    weights = torch.rand(size, generator=g) + 0.1

    def step() -> None:
        queries, documents = (x.detach().requires_grad_() for x in sides)
        loss = tiled_contrastive_loss(
            queries, documents, weights, 14.0, memory_mib=0, distributed=distributed
        )
        loss.backward()  # type: ignore[no-untyped-call]

    return step


def of_batch(size: int, _rank: int, _folder: Path) -> Callable[[], None]:
    """Return a step of the loss of so many pairs."""
    return loss_step(size)


def of_processes(processes: int, rank: int, folder: Path) -> Callable[[], None]:
    """Return this process's part of a step of the loss."""
    if processes > 1:
        where = f"file://{folder}/rendezvous"
        dist.init_process_group("gloo", init_method=where, rank=rank, world_size=processes)
    return loss_step(8192, distributed=True)


def of_corpus(size: int, _rank: int, _folder: Path) -> Callable[[], None]:
    """Return an exact search."""
    from rankfield.search import exact_search

    g = torch.Generator().manual_seed(0)
    rows = (torch.randn(count, WIDTH, generator=g) for count in (256, size))
    queries, documents = (F.normalize(x, dim=-1).numpy() for x in rows)

    def step() -> None:
        exact_search(queries, documents, 100, precision="float32", memory_mib=64)

    return step


POINTS: dict[str, Callable[[int, int, Path], Callable[[], None]]] = {
    "batch": of_batch,
    "documents": lambda size, _, folder: of_training(size, 1, folder),
    "fields": lambda size, _, folder: of_training(4, size, folder),
    "corpus": of_corpus,
    "processes": of_processes,
}


def exponents(points: list[dict[str, float]], key: str) -> tuple[float, float]:
    """Return the slopes of the logarithms: of all points, and of the two largest."""
    x, y = (np.log([max(p[k], 1e-9) for p in points]) for k in ("x", key))
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def plot(found: dict[str, list[dict[str, float]]]) -> None:
    """Write a panel for each series and figure, with logarithmic axes and fitted lines."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "rankfield", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(found), figsize=(3.1 * len(found), 5), layout="constrained")
    for column, (name, points) in enumerate(found.items()):
        for axis, key, unit in zip(
            axes[:, column], ("seconds", "mib"), ("processor seconds", "MiB"), strict=True
        ):
            x, y = ([p[k] for p in points] for k in ("x", key))
            slope, _ = exponents(points, key)
            axis.loglog(x, y, "o", color="tab:blue")
            middle = [math.exp(float(np.mean(np.log(values)))) for values in (x, y)]
            fitted = [middle[1] * (one / middle[0]) ** slope for one in x]
            axis.loglog(x, fitted, "-", color="tab:orange", label=f"x^{slope:.2f}")
            axis.set(xticks=x, xticklabels=[f"{one:,}" for one in x], ylabel=unit)
            # What hardly changes shall look so.
            wide = max(1.3, 3 / math.sqrt(max(y) / min(y)))
            axis.set(ylim=(min(y) / wide, max(y) * wide))
            ends = sorted({float(f"{one:.2g}") for one in (min(y), max(y))})
            axis.set(yticks=ends, yticklabels=[f"{one:g}" for one in ends])
            axis.minorticks_off()
            axis.legend(frameon=False)
        axes[0, column].set_title(SERIES[name][0].replace(", ", ",\n"), fontsize=8)
        axes[1, column].set_xlabel(name)
    figure.savefig(PLOTS, metadata={"Date": None})


if __name__ == "__main__":
    main()
