"""GCL's published evaluation script beside `--protocol marqo-gs`, on the same embeddings.

    git clone https://github.com/marqo-ai/GCL
    python benchmarks/marqo_gs.py --script GCL/evals/eval_gs_v1.py

Both sides get the same table of scores and the same embeddings; each samples the queries, rescales
the grades, searches (the script with faiss) and measures by itself. Its functions are called as its
`run_eval` calls them, which itself needs CUDA and a checkpoint. Every figure that it writes is
compared. Nothing of the script is kept here; it needs the extra "benchmarks".
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import public_script
from rankfield.evaluation.marqo_gs import DEPTH, TEXT_MARK, marqo_gs_metrics, marqo_gs_view
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits, exact_search

HERE = Path(__file__).parent
TOLERANCE = 1e-6
Embeddings = npt.NDArray[np.float32]
Case = tuple[str, SplitView, Embeddings, Embeddings, int]
"""Name, split, embeddings of its queries and documents, how many queries to sample."""


def main() -> None:
    """Compare, write results/marqo_gs.json and RESULTS.md; exit 1 where a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--script", type=Path, required=True, help="a copy of eval_gs_v1.py")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    script = public_script.load(given.script)
    cases = [compare_case(script, case) for case in all_cases(given.seeds)]
    found = {
        "script_sha256": public_script.fingerprint(given.script),
        "machine": f"{platform.machine()}, {platform.system()}, one thread where OMP_NUM_THREADS=1",
        "cases": cases,
    }
    path = HERE / "results" / "marqo_gs.json"
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    subprocess.run([sys.executable, str(HERE / "results_page.py")], check=True)
    if any(case["largest_difference"] > TOLERANCE or not case["same_queries"] for case in cases):
        sys.exit(1)


def all_cases(seeds: int) -> Iterator[Case]:
    """Make synthetic splits, one of the published size, and the sample shop."""
    for seed in range(seeds):
        yield made_up(f"synthetic, seed {seed}", seed, queries=1500, documents=4000, sample=300)
    yield made_up("synthetic, 2,000 queries", 99, queries=10_000, documents=20_000, sample=2000)
    yield shop()


def made_up(name: str, seed: int, *, queries: int, documents: int, sample: int) -> Case:
    """Make float scores for about 100 documents a query, half of them near it in the embedding."""
    rng = np.random.default_rng(seed)
    asked, corpus = (_unit(rng.standard_normal((n, 64))) for n in (queries, documents))
    near = exact_search(asked, corpus, 200).indices
    rows = []
    for query in range(queries):
        chosen = rng.choice(near[query], 50, replace=False)
        others = rng.choice(documents, 50, replace=False)
        rows.append(np.unique(np.concatenate([chosen, others])))
    pairs = pl.DataFrame(
        {
            "query_id": np.repeat([f"query {n}" for n in range(queries)], [len(r) for r in rows]),
            "doc_id": [f"p{d}" for d in np.concatenate(rows)],
        }
    )
    # pandas 3 refuses to sample where one query is far heavier than the rest.
    popularity = np.repeat(rng.lognormal(0, 0.35, queries), [len(r) for r in rows])
    scores = popularity * rng.uniform(0.1, 3, pairs.height)
    view = SplitView(
        "all",
        pl.DataFrame(
            {"query_id": [f"query {n}" for n in range(queries)], "query": _texts(queries)}
        ),
        pl.DataFrame({"doc_id": [f"p{n}" for n in range(documents)]}),
        pairs.with_columns(score=pl.Series(scores)),
    )
    return name, view, asked, corpus, sample


def _texts(count: int) -> list[str]:
    """Return texts that are often the beginning of another, "one two" and "one two three"."""
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return [" ".join(words[int(digit)] for digit in str(n)) for n in range(count)]


def shop() -> Case:
    """Make the sample shop; a text is the mean of its words' random vectors, plus a little noise.

    Without the noise many titles are equal, and the two searches order ties differently.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = ["sample", folder + "/shop", "--documents", "5000", "--queries", "1000"]
        program = [sys.executable, "-m", "rankfield.cli.main", *words, "--no-images"]
        subprocess.run(program, check=True, capture_output=True)
        data = RankingDataset.load(folder + "/shop")
    rng, known = np.random.default_rng(0), dict[str, Any]()

    def embedded(texts: pl.Series) -> Embeddings:
        rows = []
        for text in texts:
            parts = str(text).lower().split()
            for part in parts:
                known.setdefault(part, rng.standard_normal(128))
            rows.append(np.mean([known[part] for part in parts], axis=0))
        return _unit(np.array(rows) + 0.01 * rng.standard_normal((len(rows), 128)))

    asked, corpus = embedded(data.queries["query"]), embedded(data.documents["title"])
    view = data.view("all", None)
    # Some texts occur twice, which the script would take for one query: both go by the id.
    view = replace(view, queries=view.queries.select("query_id"))
    return "sample shop", view, asked, corpus, 300


def compare_case(script: ModuleType, case: Case) -> dict[str, Any]:
    """Return both sides' summaries, the largest difference of any figure, and the times."""
    name, view, asked, corpus, sample = case
    depth = min(DEPTH, view.documents.height)
    theirs, judged, their_time = by_the_script(script, case, depth)
    sampled = marqo_gs_view(view, queries=sample, depth=depth)
    hits = _hits(view, sampled, asked, corpus, depth)
    times = []
    for _ in range(5):
        start = time.process_time()
        ours = marqo_gs_metrics(sampled, hits, depth=depth)
        times.append(time.process_time() - start)
    differences = {
        figure: abs(value - ours[group][figure])
        for group, figures in theirs.items()
        for figure, value in figures.items()
    }
    result = {
        "name": name,
        "queries": len(judged),
        "documents": view.documents.height,
        "depth": depth,
        "same_queries": list(judged) == sampled.queries["query_id"].to_list(),
        "same_ground_truth": judged == _as_tables(sampled),
        "figures": sum(map(len, theirs.values())),
        "largest_difference": max(differences.values()),
        "summary": {k: [v, ours["summary"][k]] for k, v in theirs["summary"].items()},
        "metric_seconds": [their_time, min(times)],
    }
    print(json.dumps(result), flush=True)
    return result


def by_the_script(
    script: ModuleType, case: Case, depth: int
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]], float]:
    """Return its figures, its ground truth, and the seconds that its metrics took."""
    import pandas as pd
    import torch

    _, view, asked, corpus, sample = case
    frame = pd.DataFrame(
        view.judgments.select("query_id", "doc_id", "score").to_dict(as_series=False)
    )
    low, high = frame["score"].min(), frame["score"].max()
    frame["score"] = ((frame["score"] - low) / (high - low) * 99 + 1).astype(int)
    known = {id_: id_ for id_ in view.queries["query_id"]}
    if "query" in view.queries.columns:
        known = dict(zip(known, view.queries["query"] + TEXT_MARK, strict=True))
    frame["name"] = frame["query_id"].map(known)
    names = script.get_test_queries(frame, top_q=sample, weight_key="score", query_key="name")
    frame = frame.set_index("name")
    judged = {}
    for query in names:
        best = frame.loc[[query]].sort_values(by="score", ascending=False)[:depth]
        judged[query] = {d: round(s) for d, s in zip(best["doc_id"], best["score"], strict=True)}
    ids = {name: id_ for id_, name in known.items()}
    rows = _rows(view, [ids[name] for name in names])
    found = script.run_queries_cpu(
        names,
        torch.from_numpy(asked[rows]),
        view.documents["doc_id"].to_list(),
        torch.from_numpy(corpus),
        depth,
    )
    start = time.process_time()
    figures = public_script.evaluate(script, judged, found, top=depth)
    seconds = time.process_time() - start
    last = max(k for k in public_script.CUTOFFS if k <= depth)
    figures["summary"] |= {
        f"mAP@{last}": figures["mAP"][f"MAP@{last}"],
        f"mrr@{last}": figures["mrr"][f"MRR@{last}"],
        "NDCG@10": figures["ndcg"]["NDCG@10"],
    }
    return figures, {ids[name]: grades for name, grades in judged.items()}, seconds


def _hits(
    view: SplitView, sampled: SplitView, asked: Embeddings, corpus: Embeddings, depth: int
) -> Hits:
    rows = _rows(view, sampled.queries["query_id"].to_list())
    return exact_search(asked[rows], corpus, depth)


def _rows(view: SplitView, names: list[str]) -> list[int]:
    places = {name: row for row, name in enumerate(view.queries["query_id"])}
    return [places[name] for name in names]


def _as_tables(view: SplitView) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for query, document, score in view.judgments.select("query_id", "doc_id", "score").iter_rows():
        found.setdefault(query, {})[document] = score
    return found


def _unit(values: npt.NDArray[np.float64]) -> Embeddings:
    unit: Embeddings = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return unit


if __name__ == "__main__":
    main()
