"""One check of everything that a GPU changes, in under 8 minutes: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py                  on a GPU; without one, as with --small
    python benchmarks/gpu.py --small          the same with small sizes, on a CPU about a minute
    python benchmarks/gpu.py --only losses search

tests        the tests that need CUDA, and Triton's kernels
losses       forward and backward of 65,536 and 262,144 pairs, time and memory, beside the plain
             loss and open_clip's form in bfloat16 where these fit
equality     losses of float32, bfloat16 and float16 beside float64 on the CPU
search       20,000 queries × 5,000,000 documents × 512, the best 100, beside plain product and
             topk; what it finds beside the CPU
embedding    texts per second, beside `SentenceTransformer.encode`
training     pairs per second of a text tower from a config, beside sentence-transformers' trainer

Data and weights are random and made here; nothing is loaded. Each section prints its table when it
is done. One that fails (out of memory, say) is reported and does not stop the others; those that
would begin after `--seconds` are left out and named. Figures go to benchmarks/results/gpu.json,
with small sizes only to `--results`. Needs the extra `sentence-transformers`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gpu_losses
import gpu_search
import gpu_towers

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SECTIONS: dict[str, Callable[[bool, str], list[dict[str, Any]]]] = {
    "tests": gpu_losses.tests,
    "losses": gpu_losses.losses,
    "equality": gpu_losses.equality,
    "search": gpu_search.searches,
    "embedding": gpu_towers.embedding,
    "training": gpu_towers.training,
}


def main() -> None:
    """Run the sections, print each one's table, and write the figures after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="small sizes, also on a CPU")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--seconds", type=float, default=440.0)
    parser.add_argument("--results", type=Path, default=None)
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    small = options.small or device == "cpu"
    if small:  # figures mean nothing there, and threads would wait for each other
        torch.set_num_threads(1)
    found: dict[str, Any] = {"settings": settings(device, small), "sections": {}}
    start = time.perf_counter()
    for name in options.only:
        begun = time.perf_counter()
        if begun - start > options.seconds:
            rows: list[dict[str, Any]] = [{"left out": f"after {options.seconds:.0f} s"}]
        else:
            rows = attempt(SECTIONS[name], small, device)
        taken = round(time.perf_counter() - begun, 1)
        found["sections"][name] = {"seconds": taken, "rows": rows}
        print(f"\n{name}: {taken} s", *(line(row) for row in rows), sep="\n", flush=True)
        path = options.results or (None if small else RESULTS)
        if path is not None:
            path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def attempt(
    section: Callable[[bool, str], list[dict[str, Any]]], small: bool, device: str
) -> list[dict[str, Any]]:
    """Return a section's rows, or what stopped it."""
    try:
        return section(small, device)
    except Exception as error:  # the other sections are worth the card's time
        return [{"failed": f"{type(error).__name__}: {str(error)[:300]}"}]
    finally:
        if device == "cuda":
            torch.cuda.empty_cache()


def settings(device: str, small: bool) -> dict[str, Any]:
    """Return what the figures depend on."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
    return {"device": device, "name": name, "torch": torch.__version__, "small": small}


def line(row: dict[str, Any]) -> str:
    """Return a row of a table."""
    return "  " + "  ".join(f"{key} {value}" for key, value in row.items())


if __name__ == "__main__":
    main()
