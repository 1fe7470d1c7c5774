"""How well click labels recover the true order, against the strength of position bias.

python benchmarks/labels.py                  # the table, benchmarks/results/labels.json and .svg
python benchmarks/labels.py --large FOLDER   # 10 million pairs, timed; FOLDER for the log
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from rankfield.labels import LabelOptions, Scoring, make_labels
from rankfield.synthetic.click_simulation import ClickSimulation

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results"
BIASES = (0.0, 0.5, 1.0, 1.5, 2.0)
AT_BIASES = (1000, 5000)
SESSIONS = (20, 100, 500, 2000)
METHODS = ("raw click rate", "click model (em)", "swaps", "true propensities")
QUERIES = 60
CLICKS = {"cart": 0.0, "order": 0.0}


def measure(bias: float, sessions: int, seed: int) -> dict[str, float]:
    """Return the mean over queries of Kendall's τ-b with the true relevance, by method."""
    shop = ClickSimulation(queries=QUERIES, bias=bias, ranker_error=0.5, seed=seed)
    truth = shop.relevance()
    known: dict[int, float] = {k: float(p) for k, p in enumerate(shop.propensities, 1)}
    taus: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop.events(QUERIES * sessions).write_parquet(folder / "events.parquet")
        ways: tuple[str | dict[int, float], ...] = ("em", "interventions", known)
        for method, given in zip(METHODS[1:], ways, strict=True):
            options = LabelOptions(
                propensities=given,
                scoring=Scoring(event_weights=CLICKS),
            )
            make_labels(folder / "events.parquet", folder / method, options)
            scores = pl.read_parquet(folder / method / "judgments.parquet")
            taus[method] = mean_tau(truth, scores)
        raw = scores.with_columns(score=pl.col("clicks") / pl.col("impressions"))
        return {METHODS[0]: mean_tau(truth, raw), **taus}


def mean_tau(truth: pl.DataFrame, scores: pl.DataFrame) -> float:
    both = truth.join(scores, on=["query_id", "doc_id"])
    taus = [kendalltau(q["relevance"], q["score"]).statistic for q in both.partition_by("query_id")]
    return float(np.nanmean(taus))


def sweep(settings: list[tuple[float, int]], seeds: int) -> list[dict[str, Any]]:
    rows = []
    for bias, sessions in settings:
        runs = [measure(bias, sessions, seed) for seed in range(seeds)]
        row: dict[str, Any] = {"bias": bias, "sessions_per_query": sessions}
        for method in METHODS:
            values = np.array([run[method] for run in runs])
            row[method] = {
                "mean": round(float(values.mean()), 4),
                "sd": round(float(values.std(ddof=1)), 4),
            }
        rows.append(row)
        cells = "  ".join(f"{row[m]['mean']:.3f} ± {row[m]['sd']:.3f}" for m in METHODS)
        print(f"{bias:>4} {sessions:>6}  {cells}", flush=True)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, len(AT_BIASES), sharey=True)
    for axes, sessions in zip(panels, AT_BIASES, strict=True):
        part = [row for row in rows if row["sessions_per_query"] == sessions]
        biases = [row["bias"] for row in part]
        for method in METHODS:
            means = [row[method]["mean"] for row in part]
            errors = [row[method]["sd"] for row in part]
            axes.errorbar(biases, means, errors, label=method, marker="o", ms=4)
        axes.set(title=f"{sessions:,} sessions a query", xlabel="bias η of θ = rank^−η")
    panels[0].set(ylabel="Kendall's τ with true relevance")
    panels[0].legend(frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})


def large(folder: Path) -> dict[str, Any]:
    """Time the labels of a log of over 20 million rows and about 10 million pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    log, out = folder / "events.parquet", folder / "labels"
    shop = ClickSimulation(queries=700_000)
    writer = None
    rows = 0
    for frame in shop.parts(2_500_000):
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(log, table.schema, compression="zstd")
        writer.write_table(table)
        rows += table.num_rows
    if writer is not None:
        writer.close()
    # the peak of making the log is not that of reading it
    code = "import sys; from rankfield.labels import make_labels; make_labels(*sys.argv[1:])"
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code, str(log), str(out)], check=True)
    seconds = time.monotonic() - begun
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = json.loads((out / "labels.json").read_text("utf-8"))
    return {
        "rows": rows,
        "pairs": record["pairs"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
        "propensities": [p["propensity"] for p in record["propensities"]["by_position"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--large", type=Path)
    given = parser.parse_args()
    path = RESULTS / "labels.json"
    results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if given.large:
        results["large"] = large(given.large)
        print(results["large"])
    else:
        print("bias  sessions/query  " + "  ".join(METHODS))
        results["bias"] = sweep([(bias, n) for n in AT_BIASES for bias in BIASES], given.seeds)
        results["sessions"] = sweep([(1.0, sessions) for sessions in SESSIONS], given.seeds)
        draw(results["bias"], RESULTS / "labels.svg")
    results["how"] = f"{QUERIES} queries × 20 documents, 10 shown, {given.seeds} seeds, ± sd"
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
