"""Trains recipes on a prepared set and measures them; what is finished is kept and not repeated."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paired import paired_difference

__all__ = [
    "METRICS",
    "Run",
    "Settings",
    "Workers",
    "dev_mean",
    "differences",
    "flat",
    "halved",
    "logged",
    "per_query",
    "rankfield",
    "recall",
    "split_means",
    "spread",
    "start",
    "toml_value",
]

ROOT = Path(__file__).parent.parent
METRICS = ("nDCG@10", "ERR@10", "RBP@10")
SPLITS = ("in_domain", "novel_query", "novel_document", "zero_shot")

Settings = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A training and what it is measured on.

    folder: of the set, with `split/` and `runs/`; `train/` too, where training judgments differ.
    recipe: name of a file in recipes/.
    settings: over the recipe's.
    subset: "dev" or "test": its queries, and its half of the unseen documents.
    group: the column of documents that lie in one half together.
    """

    folder: Path
    recipe: str
    settings: Settings
    seed: int
    subset: str
    group: str = "doc_id"

    @property
    def selects(self) -> bool:
        """Whether dev chooses the model on the way: where the settings say how often."""
        return "dev.every" in self.settings

    @property
    def file(self) -> Path:
        """Where the figures are kept; beside it a .parquet of each query's."""
        what = [self.recipe, self.settings, self.seed, self.subset, self.group]
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
        return self.folder / "runs" / f"{key}.json"


def halved(dataset: Any, subset: str, group: str) -> Any:
    """Return a data set without the unseen documents of the other subset's half."""
    documents = dataset.documents
    keys = documents[group].cast(pl.String).fill_null(documents["doc_id"])
    bits = [hashlib.blake2b(key.encode()).digest()[0] % 2 == 0 for key in keys]
    in_dev = pl.Series(bits, dtype=pl.Boolean)
    kept = documents.filter(documents["seen"] | (in_dev == (subset == "dev")))
    judgments = dataset.judgments.join(kept.select("doc_id"), on="doc_id", how="semi")
    return dataset.with_tables(documents=kept, judgments=judgments)


class _Set:
    """A prepared set in a process of its own: pictures are decoded once for all runs."""

    def __init__(self, folder: Path) -> None:
        from rankfield.schema import RankingDataset

        self.dataset = RankingDataset.load(folder / "split")
        train = folder / "train"
        self.training = RankingDataset.load(train) if train.is_dir() else self.dataset

    def run(self, run: Run) -> None:
        from candidates.extras import trained
        from rankfield.evaluation import EvaluationOptions, evaluate
        from rankfield.training import load_recipe

        fixed = {"seed": run.seed, "trackers": [], "checkpoint_every": 0, "log_every": 10}
        path = ROOT / "recipes" / f"{run.recipe}.toml"

        def load(settings: Settings) -> Any:
            overrides = [f"{k}={toml_value(v)}" for k, v in {**settings, **fixed}.items()]
            return load_recipe(path, overrides, allow_code=True)

        if run.selects:
            plain = halved(self.training, "dev", run.group)
        else:  # without subsets nothing is measured on the way, and the last model is kept
            plain = self.training.with_tables(queries=self.training.queries.drop("subset"))
        folder = run.file.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        model = trained(run.settings, load, plain, folder)
        recall(model, self.dataset)
        data = halved(self.dataset, run.subset, run.group)
        found = evaluate(model, data, EvaluationOptions(subset=run.subset))
        lines = (folder / "run" / "log.jsonl").read_text("utf-8").splitlines()
        steps = [line for line in map(json.loads, lines) if line["event"] == "train"]
        figures = {
            "settings": run.settings,
            "seed": run.seed,
            "fingerprint": found.dataset.fingerprint,
            "seconds": steps[-1]["seconds"],
            **{k: statistics.fmean(s[k] for s in steps) for k in ("documents", "queries", "pairs")},
        }
        shutil.rmtree(folder)
        found.queries.select("split", "query_id", *METRICS).write_parquet(
            run.file.with_suffix(".parquet")
        )
        part = run.file.with_suffix(".part")
        part.write_text(json.dumps(figures), "utf-8")
        part.rename(run.file)


def recall(model: Any, dataset: Any) -> None:
    """Give a loaded model the memory of the frozen towers that it was trained with."""
    _recall_images(model)
    text = getattr(model.encoder, "text", None)
    if text is None or "text" not in model.metadata["recipe"]["encoder"]["freeze"]:
        return
    text.frozen = True
    for side, frame in (("query", dataset.queries), ("document", dataset.documents)):
        for field in model.fields(side):
            if field.modality == "text":
                texts = frame[field.name].drop_nulls().to_list()
                model.encoder.precompute(texts, side, disk_mib=16384)


def _recall_images(model: Any) -> None:
    """Let a frozen photo tower encode each image once in this process, whatever the training."""
    import torch

    vision, encoder = getattr(model.encoder, "vision", None), model.metadata["recipe"]["encoder"]
    if vision is None or "vision" not in encoder["freeze"]:
        return
    known = _outputs.setdefault(encoder["vision_model"], {})
    forward = vision.forward

    def remembered(pixels: torch.Tensor) -> torch.Tensor:
        keys = [hashlib.blake2b(image.numpy().tobytes()).digest() for image in pixels]
        missing = [place for place, key in enumerate(keys) if key not in known]
        if missing:
            found = forward(pixels[missing])
            known.update({keys[place]: row for place, row in zip(missing, found, strict=True)})
        return torch.stack([known[key] for key in keys])

    vision.forward = remembered


_outputs: dict[str, dict[bytes, Any]] = {}
_sets: dict[Path, _Set] = {}
_current: list[Path] = []
"""The folder of the set that is worked on."""


def start() -> None:
    """Prepare a process: one thread, and a memory of decoded pictures."""
    import torch

    from rankfield.encoders import RankingModel

    torch.set_num_threads(1)
    decode, known = RankingModel.read_pixels, {}

    def read_pixels(model: Any, values: Any, source: Any) -> torch.Tensor:
        size, place = model.encoder.image_transform.height, _current[-1:]
        missing = [v for v in dict.fromkeys(values) if (*place, v, size) not in known]
        for start in range(0, len(missing), 256):
            part = missing[start : start + 256]
            pictures = decode(model, part, source)
            known.update({(*place, v, size): p for v, p in zip(part, pictures, strict=True)})
        return torch.stack([known[*place, v, size] for v in values])

    RankingModel.read_pixels = read_pixels  # type: ignore[method-assign, assignment]


def _work(run: Run) -> None:
    if not run.file.exists():
        if run.folder not in _sets:
            _sets[run.folder] = _Set(run.folder)
        _current[:] = [run.folder]
        _sets[run.folder].run(run)


def rankfield(words: Iterable[str]) -> None:
    """Run a command of rankfield; end with what it said if it fails."""
    program = [sys.executable, "-m", "rankfield.cli.main", *words]
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"rankfield {' '.join(program[3:])}\n{done.stderr}")


class Workers:
    """Processes that train and measure, one thread each."""

    def __init__(self, count: int) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        paths = [str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=start)

    def finish(self, runs: Sequence[Run], name: str) -> None:
        """Do the runs that are not done yet, in their order, and say what each found."""
        todo = [run for run in _distinct(runs) if not run.file.exists()]
        for number, (run, _) in enumerate(zip(todo, self.pool.map(_work, todo), strict=True), 1):
            means = split_means(run)["nDCG@10"]
            print(f"{name} {number}/{len(todo)} {run.subset} seed {run.seed} {means.mean():.4f} "
                  f"{means.round(3).tolist()} {run.file.stem}", flush=True)  # fmt: skip


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, each file's once."""
    return list({run.file: run for run in runs}.values())


def split_means(run: Run) -> dict[str, Any]:
    """Return metric → mean over the queries of each split."""
    frame = pl.read_parquet(run.file.with_suffix(".parquet"))
    parts = [frame.filter(pl.col("split") == split) for split in SPLITS]
    return {m: np.array([part[m].drop_nulls().mean() for part in parts]) for m in METRICS}


def dev_mean(run: Run) -> float:
    """Return the mean nDCG@10 of the four splits."""
    return float(split_means(run)["nDCG@10"].mean())


def spread(runs: Sequence[Run], metric: str = "nDCG@10") -> Settings:
    """Return the mean and the standard deviation over runs of each split's mean."""
    values = np.array([split_means(run)[metric] for run in runs])
    found = {"mean": values.mean(0).tolist()}
    if len(runs) > 1:
        found["standard_deviation"] = values.std(0, ddof=1).tolist()
    return found


def logged(runs: Sequence[Run], key: str) -> list[float]:
    """Return a figure of each training: documents, queries or pairs of a step, or seconds."""
    return [json.loads(run.file.read_text("utf-8"))[key] for run in runs]


def differences(ours: Sequence[Run], theirs: Sequence[Run]) -> list[dict[str, float | None]]:
    """Return the paired difference of ours to theirs on each split."""
    return [paired_difference(per_query(ours, s), per_query(theirs, s)) for s in SPLITS]


def per_query(runs: Sequence[Run], split: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each run's nDCG@10 of each query, (runs, queries), in the order of the ids."""
    frames = [pl.read_parquet(run.file.with_suffix(".parquet")) for run in runs]
    columns = [f.filter(pl.col("split") == split).sort("query_id")["nDCG@10"] for f in frames]
    return np.stack([c.cast(pl.Float64).fill_null(np.nan).to_numpy() for c in columns])


def flat(sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return the settings of a recipe's sections: section.key → value."""
    return {
        f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()
    }


def toml_value(value: Any) -> str:
    """Return a value as the command line's --set takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value)
