"""Contrastive losses of large batches: forward and backward, time and memory, beside open_clip's.

    python benchmarks/loss.py                          1,024, 4,096 and 16,384 pairs, five rounds
    python benchmarks/loss.py --sizes 512 --rounds 2   a quick look
    python benchmarks/loss.py --more                   further rounds, beside those of the results

open_clip's form is that of its ClipLoss: a product and a cross-entropy for each direction. GCL
weighs each pair; `ranked` has four judged documents a query in four grades. "tiled" keeps no logits
for backward, "default" as many as the default budget allows, "kept" all. The plain forms, which
hold all logits at once, are left out above 4,096. Embeddings are random unit vectors of float32
with gradients, and so has the scale. All arms take turns in every round; memory is the peak of a
process of its own beyond what its inputs took, the gradients included. Figures go to
benchmarks/results/loss.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from process_memory import peak_beyond
from rankfield.losses import (
    JudgedPairs,
    contrastive_loss,
    judged_contrastive_loss,
    tiled_contrastive_loss,
    tiled_judged_contrastive_loss,
)
from rankfield.losses.large_batches import DEFAULT_MIB

RESULTS = Path(__file__).parent / "results" / "loss.json"
OPEN_CLIP = "open_clip's form"
JUDGED, GRADES, LARGEST_PLAIN = 4, 4, 4096

Arms = dict[str, Callable[[], Tensor]]
Found = dict[str, dict[str, Any]]


def main() -> None:
    """Time the arms in turns, measure the memory of each, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--scale", type=float, default=1 / 0.07)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--more", action="store_true", help="add to the results that are there")
    parser.add_argument("--no-memory", action="store_true", help="time alone")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_mib(options.sizes[0], options.memory_of, options))
        return
    settings = {k: getattr(options, k) for k in ("width", "scale", "threads")}
    settings |= {"processor": processor(), "torch": torch.__version__}
    found = json.loads(options.results.read_text("utf-8"))["sizes"] if options.more else {}
    for add in (add_seconds,) if options.no_memory else (add_seconds, add_memory):
        for size in options.sizes:
            add(size, found.setdefault(str(size), {}), options)
            text = json.dumps({"settings": settings, "sizes": found}, indent=2)
            options.results.write_text(text + "\n", "utf-8")
    for size in options.sizes:
        show(size, found[str(size)])


def add_seconds(size: int, found: Found, options: argparse.Namespace) -> None:
    """Add the seconds of each round to those of each arm of a batch of so many pairs."""
    arms, leaves = made(size, options)
    repeats = max(1, (4096 // size) ** 2)
    for arm, loss in arms.items():
        found.setdefault(arm, {"seconds": []})
        if size <= LARGEST_PLAIN:
            step(loss, leaves)  # warms up
    for _ in range(options.rounds):
        for arm, loss in arms.items():
            start = time.perf_counter()
            for _ in range(repeats):
                step(loss, leaves)
            found[arm]["seconds"].append((time.perf_counter() - start) / repeats)


def add_memory(size: int, found: Found, options: argparse.Namespace) -> None:
    """Add the MiB of each arm, where they are not known yet, from a process of its own."""
    command = [sys.executable, __file__, "--sizes", str(size)]
    for key in ("width", "scale", "threads"):
        command += [f"--{key}", str(getattr(options, key))]
    for arm, figures in found.items():
        if "mib" not in figures:
            ran = subprocess.run(
                [*command, "--memory-of", arm], check=True, capture_output=True, text=True
            )
            figures["mib"] = float(ran.stdout)


def show(size: int, found: Found) -> None:
    """Print the table of a batch of so many pairs."""
    base = statistics.median(found[OPEN_CLIP]["seconds"])
    for arm, figures in found.items():
        rounds = figures["seconds"]
        middle = statistics.median(rounds)
        print(
            f"{size:6} {arm:34} {middle:8.4f} s ({min(rounds):.4f} … {max(rounds):.4f})"
            f"  × {base / middle:.2f}  {figures.get('mib', float('nan')):7.0f} MiB"
        )


def processor() -> str:
    """Return what the processor is called, where Linux says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def made(size: int, options: argparse.Namespace) -> tuple[Arms, list[Tensor]]:
    """Return the arms of a batch, and what they are differentiated by."""
    g = torch.Generator().manual_seed(0)
    queries, documents = (
        F.normalize(torch.randn(size, options.width, generator=g), dim=-1).requires_grad_()
        for _ in range(2)
    )
    scale = torch.tensor(options.scale).requires_grad_()
    weights = torch.rand(size, generator=g) + 0.1
    places = torch.unique(
        torch.arange(size).repeat(JUDGED) * size
        + torch.randint(size, (JUDGED * size,), generator=g)
    )
    scores = torch.randint(GRADES, (len(places),), generator=g).float()
    pairs = JudgedPairs(places // size, places % size, scores, 0.1 + scores / GRADES)
    labels = torch.arange(size)
    gcl, ranked = (queries, documents, weights, scale), (queries, documents, pairs, scale)
    arms: Arms = {OPEN_CLIP: partial(open_clip, queries, documents, labels, scale)}
    for words, direction in (("both", "both"), ("one direction", "query_to_document")):
        forms: list[tuple[str, Any, Any, Any]] = [
            ("gcl", contrastive_loss, tiled_contrastive_loss, gcl),
            ("ranked", judged_contrastive_loss, tiled_judged_contrastive_loss, ranked),
        ]
        for name, plain, tiled, inputs in forms:
            if size <= LARGEST_PLAIN:
                arms[f"{name}, {words}, plain"] = partial(plain, *inputs, direction=direction)
            budgets = {"tiled": 0.0, "default": DEFAULT_MIB, "kept": 2.0**20}
            for kept, mib in budgets.items():
                if kept == "default" and 4 * size**2 <= mib * 2**20:
                    continue  # it keeps all
                arms[f"{name}, {words}, {kept}"] = partial(
                    tiled, *inputs, direction=direction, memory_mib=mib
                )
    return arms, [queries, documents, scale]


def open_clip(queries: Tensor, documents: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Return the loss as open_clip's ClipLoss has it."""
    by_query = scale * queries @ documents.T
    by_document = scale * documents @ queries.T
    return (F.cross_entropy(by_query, labels) + F.cross_entropy(by_document, labels)) / 2


def step(loss: Callable[[], Tensor], leaves: list[Tensor]) -> None:
    """Go forward and backward once."""
    for leaf in leaves:
        leaf.grad = None
    loss().backward()  # type: ignore[no-untyped-call]


def peak_mib(size: int, arm: str, options: argparse.Namespace) -> float:
    """Return the peak of one step beyond what is resident before it."""
    small, leaves = made(64, options)
    step(small[arm if arm in small else OPEN_CLIP], leaves)  # loads what the first step loads
    arms, leaves = made(size, options)
    return peak_beyond(lambda: step(arms[arm], leaves))


if __name__ == "__main__":
    main()
