"""Every loss against CLIP and the paper's GCL: same encoder, data, steps and tuning effort.

    python benchmarks/quality.py                       all four sets, then RESULTS.md
    python benchmarks/quality.py luma --workers 2      one set (real ones in ../shared/data)

`quality_arms.py` says what is compared. Each arm is tuned with seed 0 on the mean dev nDCG@10 over
the four splits, among as many settings as every other arm; then the chosen setting is trained with
all seeds and reported on the test queries, searched over the whole corpus of each split. Runs are
kept in OUT and not repeated. Figures go to benchmarks/results/SET.json, the page to RESULTS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paired import RECIPES, paired_difference
from quality_arms import PAPER, SETS, THRESHOLD, Arm, BenchmarkSet, arms_of, choices_of
from quality_baselines import baselines
from worker import rankfield, recall, start, toml_value

HERE = Path(__file__).parent
ROOT = HERE.parent
SPLITS = ("in_domain", "novel_query", "novel_document", "zero_shot")
METRICS = ("nDCG@10", "ERR@10", "RBP@10")

Settings = dict[str, Any]


class Worker:
    """Trains and evaluates in a process of its own; pictures are decoded once for all runs."""

    def __init__(self, name: str, folder: Path) -> None:
        from rankfield.schema import RankingDataset

        start()
        self.name, self.folder = name, folder
        self.dataset = RankingDataset.load(folder / "split")
        self.recipe = ROOT / "recipes" / f"{name}.toml"

    def run(self, settings: Settings, seed: int) -> Path:
        """Train and evaluate, unless that was done before; return the run's figures."""
        found = self.folder / "runs" / f"{_key(settings, seed)}.json"
        if not found.exists():
            log, per_query, made = self._train(settings, seed, found.with_suffix(""))
            per_query.write_parquet(found.with_suffix(".parquet"))
            steps = [line for line in log if line["event"] == "train"]
            figures = {
                "settings": settings,
                "seed": seed,
                "documents": statistics.fmean(line["documents"] for line in steps),
                "queries": statistics.fmean(line["queries"] for line in steps),
                "fingerprint": made["fingerprint"],
            }
            found.write_text(json.dumps(figures), "utf-8")
        return found

    def _train(
        self, settings: Settings, seed: int, folder: Path
    ) -> tuple[list[Settings], pl.DataFrame, Settings]:
        import torch

        from rankfield.evaluation import EvaluationOptions, evaluate
        from rankfield.training import load_recipe, train

        fixed = {"seed": seed, "trackers": [], "checkpoint_every": 0}
        overrides = [f"{k}={toml_value(v)}" for k, v in {**settings, **fixed}.items()]
        # Without subsets the training measures nothing on the way: the last model is kept, and
        # one pass over the corpus serves dev and test.
        queries = self.dataset.queries
        plain = self.dataset.with_tables(queries=queries.drop("subset"))
        shutil.rmtree(folder, ignore_errors=True)
        model = train(load_recipe(self.recipe, overrides, allow_code=True), plain, folder)
        recall(model, self.dataset)
        half = model.metadata["recipe"]["precision"] == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            results = evaluate(model, self.dataset, EvaluationOptions(subset=None))
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
        shutil.rmtree(folder)
        columns = ["split", "query_id", *METRICS]
        per_query = results.queries.select(columns).join(
            queries.select("query_id", "subset"), on="query_id"
        )
        return log, per_query, {"fingerprint": results.dataset.fingerprint}


_worker: Worker | None = None


def _start(name: str, folder: Path) -> None:
    global _worker  # noqa: PLW0603
    _worker = Worker(name, folder)


def _run(task: tuple[Settings, int]) -> Path:
    assert _worker is not None
    return _worker.run(*task)


class Benchmark:
    """One set's comparison."""

    def __init__(self, name: str, out: Path, data: Path, workers: int) -> None:
        self.name, self.set, self.folder = name, SETS[name], out / name
        _prepare(self.set, self.folder, data)
        (self.folder / "runs").mkdir(exist_ok=True)
        os.environ["OMP_NUM_THREADS"] = "1"
        self.pool = ProcessPoolExecutor(
            workers,
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(name, self.folder),
        )

    def run(self) -> Settings:
        """Tune, train all seeds, compare."""
        arms = arms_of(self.set)
        chosen = self._tune([arm for arm in arms if not arm.like])
        for arm in arms:
            if arm.like:
                steps = round(self.set.common["optimizer.steps"] * arm.steps)
                same = {**chosen[arm.like], **arm.settings}
                chosen[arm.name] = {**same, "optimizer.steps": steps}
        tasks = [(chosen[arm.name], seed) for arm in arms for seed in self.set.seeds]
        found = iter(self._all(tasks))
        runs = {arm.name: [next(found) for _ in self.set.seeds] for arm in arms}
        rows = {arm.name: self._row(arm.name, runs, chosen) for arm in arms}
        some = json.loads(runs[arms[0].name][0].read_text("utf-8"))
        return {
            "set": self.name,
            "splits": SPLITS,
            "seeds": self.set.seeds,
            "common": self.set.common,
            "fingerprint": some["fingerprint"],
            "tested": RECIPES,
            "milliseconds": self._times(
                {arm.name: chosen[arm.name] for arm in arms if not arm.like}
            ),
            "variants": [arm.name for arm in arms if arm.variant],
            "rows": {**self._baselines(), **rows},
        }

    def _baselines(self) -> Settings:
        file = self.folder / "baselines.json"
        return baselines(self.folder / "split", file, METRICS, self.set.text_weights)

    def _all(self, tasks: list[tuple[Settings, int]]) -> list[Path]:
        done: list[Path] = []
        for task, path in zip(tasks, self.pool.map(_run, tasks), strict=True):
            done.append(path)
            dev = _mean(path, "dev")["nDCG@10"]
            print(f"{self.name} {len(done)}/{len(tasks)} seed {task[1]} dev {dev.mean():.4f} "
                  f"{dev.round(3).tolist()} {_short(task[0], self.set)}", flush=True)  # fmt: skip
        return done

    def _tune(self, arms: list[Arm]) -> dict[str, Settings]:
        """Choose each arm's setting by its mean dev nDCG@10 over the splits, with one seed."""
        options = {arm.name: choices_of(arm, self.set) for arm in arms}
        tasks = [(choice, self.set.seeds[0]) for arm in arms for choice in options[arm.name]]
        found = iter(self._all(tasks))
        chosen = {}
        for arm in arms:
            scored = [(_mean(next(found), "dev")["nDCG@10"].mean(), c) for c in options[arm.name]]
            chosen[arm.name] = max(scored, key=lambda pair: pair[0])[1]
        return chosen

    def _row(self, name: str, runs: dict[str, list[Path]], chosen: dict[str, Settings]) -> Settings:
        row: Settings = {"settings": chosen[name]}
        for metric in METRICS:
            values = np.array([_mean(path, "test")[metric] for path in runs[name]])
            row[metric] = {
                "mean": values.mean(0).tolist(),
                "standard_deviation": values.std(0, ddof=1).tolist(),
            }
        figures = [json.loads(path.read_text("utf-8")) for path in runs[name]]
        for key in ("documents", "queries"):
            row[key] = statistics.fmean(f[key] for f in figures)
        row["against"] = {
            other: [
                paired_difference(_per_query(runs[name], s), _per_query(runs[other], s))
                for s in SPLITS
            ]
            for other in (PAPER, THRESHOLD)
            if other != name
        }
        return row

    def _times(self, chosen: dict[str, Settings]) -> dict[str, float]:
        """Return milliseconds per step of each arm, the least of many stretches of 10 steps.

        One after the other in a process of its own, when nothing else of the benchmark runs.
        """
        self.pool.shutdown()
        steps = 10 if self.set.slow else 50
        times = {}
        for name, settings in chosen.items():
            folder = self.folder / "timing"
            shutil.rmtree(folder, ignore_errors=True)
            wanted = {**settings, "optimizer.steps": steps, "log_every": max(2, steps // 10)}
            wanted |= {"trackers": [], "checkpoint_every": 0, "dev.every": 0}
            wanted["dev.splits"] = ["in_domain"]
            wanted["data.dataset"] = str(self.folder / "split")
            program = [sys.executable, str(HERE / "quality_time.py"), self.name, str(folder)]
            done = subprocess.run(
                program, input=json.dumps(wanted), capture_output=True, text=True, check=True
            )
            times[name] = float(done.stdout)
        return times


def _prepare(wanted: BenchmarkSet, folder: Path, data: Path) -> None:
    places = {"raw": str(folder / "data"), "data": str(data)}
    for path, words in (
        (folder / "data", [part.format(**places) for part in wanted.prepare]),
        (folder / "split", ["split", places["raw"], str(folder / "split"), *wanted.split]),
    ):
        if not path.exists():
            rankfield(words)


def _mean(path: Path, subset: str) -> dict[str, Any]:
    """Return metric → mean over the queries of each split."""
    frame = _queries(path).filter(pl.col("subset") == subset)
    parts = [frame.filter(pl.col("split") == split) for split in SPLITS]
    return {m: np.array([part[m].drop_nulls().mean() for part in parts]) for m in METRICS}


def _queries(path: Path) -> pl.DataFrame:
    """Return a run's figures of each query; runs kept from before have older names of metrics."""
    from rankfield.metrics import canonical_name

    return pl.read_parquet(path.with_suffix(".parquet")).rename(canonical_name)


def _per_query(paths: list[Path], split: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each run's nDCG@10 of each test query, (runs, queries), in the order of the ids."""
    wanted = (pl.col("subset") == "test") & (pl.col("split") == split)
    columns = [_queries(path).filter(wanted).sort("query_id")["nDCG@10"] for path in paths]
    return np.stack([c.cast(pl.Float64).fill_null(np.nan).to_numpy() for c in columns])


def _key(settings: Settings, seed: int) -> str:
    text = json.dumps([settings, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _short(settings: Settings, wanted: BenchmarkSet) -> str:
    return " ".join(
        f"{key.split('.')[-1]}={value}"
        for key, value in settings.items()
        if wanted.common.get(key) != value
    )


def main() -> None:
    """Run the comparisons that are asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "quality")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    for name in given.sets or SETS:
        if name not in SETS:
            parser.error(f"no set {name!r}; expected {', '.join(SETS)}")
        found = Benchmark(name, given.out, given.data, given.workers).run()
        (HERE / "results").mkdir(exist_ok=True)
        path = HERE / "results" / f"{name}.json"
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    subprocess.run([sys.executable, str(HERE / "results_page.py")], check=True)


if __name__ == "__main__":
    main()
