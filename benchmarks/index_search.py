"""Single queries against an index on the CPU: milliseconds and recall@10, beside faiss and LanceDB.

    python benchmarks/index_search.py                       100,000 × 384
    python benchmarks/index_search.py --documents 1000000   with the stores for many documents

All arms answer the same queries one at a time, in turns, so that a busy machine hits all alike; the
median and the 95th percentile over all rounds count. The vectors are drawn: a mixture of 1,000
clusters in 64 dimensions, turned into 384 and noised; queries are noised documents. recall@10 is
the share of the ten nearest documents of faiss's flat search. Peers: faiss flat (all products, no
ids or fields), faiss HNSW (with --hnsw: its build takes minutes), and LanceDB used directly (RaBitQ
codes, 10 times as many refined). Filters keep a random 10, 1 and 0.1 % of the documents. Figures go
to benchmarks/results/index_search.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

HERE = Path(__file__).parent
D, K = 384, 10
SHARES = (0.1, 0.01, 0.001)
Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors], list[int]]


def main() -> None:
    """Build every arm, time them in turns, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hnsw", action="store_true")
    parser.add_argument("--scratch", type=Path, help="where the indexes go; by default /tmp")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "index_search.json")
    options = parser.parse_args()
    documents, queries = drawn(options.documents, options.queries)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        arms, built = searches(documents, Path(scratch), options)
        nearest = [set(arms["faiss flat"](query)) for query in queries]
        figures = timed(arms, queries, nearest, options.rounds)
        filtered = under_filters(arms, documents, queries)
    for name, found in figures.items():
        found["build_seconds"] = round(built[name], 2)
        print(
            f"{name:26} p50 {found['p50_ms']:8.2f} ms  p95 {found['p95_ms']:8.2f} ms  "
            f"recall@10 {found['recall']:.4f}  built in {found['build_seconds']:.1f} s"
        )
    for name, by_share in filtered.items():
        print(f"{name:26} recall@10 under filters: {by_share}")
    known = json.loads(options.results.read_text("utf-8")) if options.results.exists() else {}
    known[f"{options.documents:,}"] = {
        "settings": {
            **{k: v for k, v in vars(options).items() if not isinstance(v, Path)},
            "processor": platform.processor(),
            "cores": os.cpu_count(),
        },
        "arms": figures,
        "recall under filters": filtered,
    }
    options.results.write_text(json.dumps(known, indent=2, default=str) + "\n", "utf-8")


def drawn(count: int, queries: int) -> tuple[Vectors, Vectors]:
    """Return unit documents (N, D) and queries (Q, D)."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(D, 64)))[0].T.astype(np.float32)
    centres = rng.normal(size=(1000, 64)).astype(np.float32)
    documents = np.empty((count, D), dtype=np.float32)
    for start in range(0, count, 65_536):
        part = documents[start : start + 65_536]
        latent = centres[rng.integers(0, 1000, len(part))]
        latent += rng.normal(size=latent.shape).astype(np.float32) * 0.7
        part[:] = latent @ turned + rng.normal(size=part.shape).astype(np.float32) * 0.05
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    asked = documents[rng.integers(0, count, queries)]
    asked = asked + rng.normal(size=asked.shape).astype(np.float32) * 0.02
    return documents, (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)


def searches(
    documents: Vectors, scratch: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the arms, each a function of a query, and the seconds that each took to build."""
    makers: dict[str, Callable[[], Any]] = {
        "faiss flat": lambda: faiss_flat(documents),
        "rankfield": lambda: ours(documents, scratch / "exact", "exact", "none"),
        "rankfield int8": lambda: ours(documents, scratch / "int8", "exact", "int8"),
        "rankfield binary": lambda: ours(documents, scratch / "binary", "exact", "binary"),
        "rankfield lancedb": lambda: ours(documents, scratch / "lance", "lancedb", "none"),
        "LanceDB": lambda: lance(documents, scratch / "direct"),
    }
    if options.hnsw:
        makers["faiss HNSW"] = lambda: faiss_hnsw(documents)
    arms, seconds = {}, {}
    for name, make in makers.items():
        started = time.perf_counter()
        arms[name] = make()
        arms[name](documents[0])  # whatever is prepared at the first search
        seconds[name] = time.perf_counter() - started
        print(f"built {name} in {seconds[name]:.1f} s", flush=True)
    return arms, seconds


def ours(documents: Vectors, folder: Path, store: str, first_pass: str) -> Any:
    """Return a search of a rankfield index, with the smallest oversample that finds 99 %."""
    from rankfield.index import STORES, IndexMetadata, open_index
    from rankfield.index.metadata import change_metadata
    from rankfield.index.recall import measured_recall

    metadata = IndexMetadata(
        model="none", model_fingerprint="", data="drawn", data_fingerprint="", dimension=D,
        first_pass=first_pass,
    )  # fmt: skip
    ids = pl.DataFrame({"doc_id": [str(i) for i in range(len(documents))]})
    index = STORES[store].build(folder, metadata, ids, lambda _: iter([(0, documents)]))
    if (store, first_pass) not in (("exact", "none"), ("exact", "int8")):
        tried = drawn(len(documents), 150)[1][50:]  # not the queries that are reported
        for oversample in (8, 16, 32, 64, 128, 256):
            change_metadata(folder, oversample=oversample)
            index = open_index(folder)
            if measured_recall(index, tried, shares=(1.0,))[1.0] >= 0.99:
                break

    def search(query: Vectors, kept: npt.NDArray[np.int64] | None = None) -> list[int]:
        ids = None if kept is None else {str(i) for i in kept.tolist()}
        return [int(one) for one in index.search(query[None], K, ids)["doc_id"]]

    return search


def faiss_flat(documents: Vectors) -> Any:
    """Return faiss's exhaustive search."""
    import faiss

    index = faiss.IndexFlatIP(D)
    index.add(documents)

    parameters: Any = faiss.SearchParameters

    def search(query: Vectors, kept: npt.NDArray[np.int64] | None = None) -> list[int]:
        chosen = None if kept is None else parameters(sel=faiss.IDSelectorBatch(kept))
        found = index.search(query[None], K, params=chosen)[1][0].tolist()
        return [one for one in found if one >= 0]

    return search


def faiss_hnsw(documents: Vectors) -> Any:
    """Return faiss's graph search, 32 neighbours, 64 candidates."""
    import faiss

    index = faiss.IndexHNSWFlat(D, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = 64
    index.add(documents)

    def search(query: Vectors) -> list[int]:
        found: list[int] = index.search(query[None], K)[1][0].tolist()
        return found

    return search


def lance(documents: Vectors, folder: Path) -> Any:
    """Return LanceDB as its users call it: RaBitQ codes, refined 10 times."""
    import lancedb
    import pyarrow as pa
    from lancedb.index import IvfRq

    schema = pa.schema([("key", pa.int64()), ("vector", pa.list_(pa.float32(), D))])
    column = pa.FixedSizeListArray.from_arrays(pa.array(documents.ravel()), D)
    keys = pa.array(np.arange(len(documents)))
    table = lancedb.connect(folder).create_table("vectors", pa.table([keys, column], schema=schema))
    table.create_index("vector", config=IvfRq(distance_type="dot"))

    def search(query: Vectors, kept: npt.NDArray[np.int64] | None = None) -> list[int]:
        asked = table.search(query).distance_type("dot").nprobes(20).refine_factor(10).limit(K)
        if kept is not None:
            asked = asked.where(f"key IN ({', '.join(map(str, kept.tolist()))})", prefilter=True)
        found: list[int] = asked.select(["key", "_distance"]).to_arrow()["key"].to_pylist()
        return found

    return search


def timed(
    arms: dict[str, Any], queries: Vectors, nearest: list[set[int]], rounds: int
) -> dict[str, dict[str, float]]:
    """Return the figures of each arm over all rounds and queries."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    recall: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, search in arms.items():
            for query, best in zip(queries, nearest, strict=True):
                started = time.perf_counter()
                found = search(query)
                seconds[name].append(time.perf_counter() - started)
                recall[name].append(len(best & set(found)) / len(best))
    return {
        name: {
            "p50_ms": round(float(np.percentile(seconds[name], 50)) * 1e3, 3),
            "p95_ms": round(float(np.percentile(seconds[name], 95)) * 1e3, 3),
            "recall": round(float(np.mean(recall[name])), 4),
        }
        for name in arms
    }


def under_filters(
    arms: dict[str, Any], documents: Vectors, queries: Vectors
) -> dict[str, dict[str, float]]:
    """Return recall@10 of the arms that filter, by the share that a filter keeps."""
    rng = np.random.default_rng(1)
    found: dict[str, dict[str, float]] = {}
    for share in SHARES:
        kept = np.flatnonzero(rng.random(len(documents)) < share)
        best = [set(arms["faiss flat"](query, kept)) for query in queries[:20]]
        for name in ("rankfield", "rankfield int8", "rankfield binary", "rankfield lancedb"):
            hits = [set(arms[name](query, kept)) for query in queries[:20]]
            shared = [len(a & b) / len(b) for a, b in zip(hits, best, strict=True)]
            found.setdefault(name, {})[f"{share:g}"] = round(float(np.mean(shared)), 4)
    return found


if __name__ == "__main__":
    main()
