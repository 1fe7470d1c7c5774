"""What the recipe's loss, GCL and CLIP make of other lists, grades, noise, batches and widths.

    python benchmarks/sensitivity.py

A shop of 1,000 products by title alone, trained from scratch; one thing at a time differs from the
base (batches of 4,096 pairs need a shop of 5,000). Judgments are changed in training only: all are
measured on the whole lists with their exact scores, on test, with three seeds. GCL draws by score,
CLIP takes the better half of the scores; the default has what `rankfield recipe` writes for the
changed data. All take the better of two rates by dev at the base. Figures go to
benchmarks/results/sensitivity.json, the page to RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from by_set import write_figures, write_page
from fair import TUNING_SEED
from paired import paired_difference
from quality_arms import CONSTANT, EXPONENTIAL, PAIRS
from worker import ROOT, SPLITS, Run, Settings, Workers, dev_mean, flat, per_query, split_means

SEEDS = (0, 1, 2)
LENGTH = 50
COMMON: Settings = {
    "data.document_weights": {"title": 1.0},
    "encoder.image_size": 64,
    "optimizer.steps": 200,
    "optimizer.weight_decay": 0.3,
}
RATES = (2e-3, 5e-3)
RECIPE, GCL, CLIP = "`rankfield recipe`", "GCL, pairs by score", "CLIP, better half"

Change = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    length: of the ranked lists. change: of the training judgments. settings: of all arms.
    documents, queries: of the shop.
    """

    factor: str
    level: str
    length: int = LENGTH
    change: Change | None = None
    settings: Settings = field(default_factory=dict)
    documents: int = 1_000
    queries: int = 300


def graded(grades: int) -> Change:
    """Return a change of scores to so many evenly spaced ones."""

    def change(judgments: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        del rng
        return judgments.with_columns(
            score=(pl.col("score") * grades / LENGTH).ceil() * LENGTH / grades
        )

    return change


def noisy(share: float) -> Change:
    """Return a change of a share of the scores to random ones of the scale."""

    def change(judgments: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        wrong = rng.random(judgments.height) < share
        drawn = rng.integers(1, LENGTH + 1, judgments.height).astype(np.float64)
        scores = np.where(wrong, drawn, judgments["score"].to_numpy())
        return judgments.with_columns(pl.Series("score", scores))

    return change


def kept(share: float) -> Change:
    """Return a change that keeps a share of the judgments."""

    def change(judgments: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        return judgments.filter(pl.Series(rng.random(judgments.height) < share))

    return change


CELLS = (
    Cell("base", "lists of 50, all scores, batch 128, width 128"),
    Cell("list length", "2, batch 64", length=2, settings={"batch.size": 64}),
    *(Cell("list length", str(n), length=n) for n in (5, 20, 200)),
    *(Cell("grades", str(n), change=graded(n)) for n in (2, 3, 5, 10)),
    *(Cell("label noise", f"{s:.0%}", change=noisy(s)) for s in (0.1, 0.2, 0.4)),
    *(Cell("share judged", f"{s:.0%}", change=kept(s)) for s in (0.5, 0.2, 0.1)),
    *(
        Cell("share judged, 50 steps", f"{s:.0%}", change=kept(s), settings={"optimizer.steps": 50})
        for s in (0.5, 0.2, 0.1)
    ),
    *(Cell("batch", str(n), settings={"batch.size": n}) for n in (32, 512, 1024)),
    *(
        Cell(
            "batch, 5,000 products",
            f"{n:,}, {steps} steps",
            settings={"batch.size": n, "optimizer.steps": steps},
            documents=5_000,
            queries=2_500,
        )
        for n, steps in ((128, 800), (1024, 100), (4096, 50))
    ),
    *(
        Cell("width", str(n), settings={"encoder.dimension": n, "encoder.text_width": n})
        for n in (32, 512)
    ),
)


def folder_of(cell: Cell, out: Path) -> Path:
    """Return the folder of a cell's data, made if it is not there."""
    from rankfield import sample_shop, split
    from rankfield.schema import RankingDataset

    name = f"lists-{cell.length}"
    base = out / (name if cell.documents == 1_000 else f"{name}-{cell.documents}")
    if not (base / "split").is_dir():
        shutil.rmtree(base, ignore_errors=True)
        shop = sample_shop(
            base / "data",
            documents=cell.documents,
            queries=cell.queries,
            per_query=cell.length,
            seed=1132,
            images=False,
            popularity=0.8,
            noise=0.8,
        )
        split(shop).save(base / "split")
    folder = base
    if cell.change is not None:
        folder = out / f"{cell.factor}-{cell.level}".replace(" ", "-").replace("%", "")
        if not (folder / "train").is_dir():
            folder.mkdir(exist_ok=True)
            shutil.copytree(base / "split", folder / "split", dirs_exist_ok=True)
            whole = RankingDataset.load(folder / "split")
            changed = cell.change(whole.judgments, np.random.default_rng(1132))
            whole.with_tables(judgments=changed).save(folder / "train")
    (folder / "runs").mkdir(exist_ok=True)
    return folder


def arms(folder: Path) -> dict[str, Settings]:
    """Return the settings of each arm for a cell's training data."""
    from rankfield.schema import RankingDataset
    from rankfield.training.methods import fitted_settings

    place = folder / "train"
    data = RankingDataset.load(place if place.is_dir() else folder / "split")
    half = float(np.median(data.judgments["score"].to_numpy()))
    return {
        RECIPE: flat(fitted_settings("ranked", data)),
        GCL: {**PAIRS, **EXPONENTIAL[0], "batch.choice": "score"},
        CLIP: {**PAIRS, **CONSTANT, "data.minimum_score": half},
    }


def tables(out: Path, workers: Workers) -> Iterator[Settings]:
    """Yield the figures of each cell."""

    def run(folder: Path, settings: Settings, seed: int, subset: str) -> Run:
        common = {**COMMON, "loss.logit_scale": 30.0, **settings}
        return Run(folder, "shop", common, seed, subset)

    base = folder_of(CELLS[0], out)
    tried = {
        name: [
            run(base, {**own, "optimizer.learning_rate": rate}, TUNING_SEED, "dev")
            for rate in RATES
        ]
        for name, own in arms(base).items()
    }
    workers.finish([one for some in tried.values() for one in some], "base")
    rates = {n: max(r, key=dev_mean).settings["optimizer.learning_rate"] for n, r in tried.items()}
    for cell in CELLS:
        folder = folder_of(cell, out)
        runs = {
            name: [
                run(
                    folder,
                    {**own, "optimizer.learning_rate": rates[name], **cell.settings},
                    s,
                    "test",
                )
                for s in SEEDS
            ]
            for name, own in arms(folder).items()
        }
        workers.finish([one for some in runs.values() for one in some], cell.level)
        yield {
            "factor": cell.factor,
            "level": cell.level,
            "arms": {name: _figures(some, runs[RECIPE]) for name, some in runs.items()},
        }


def _figures(runs: list[Run], ours: list[Run]) -> Settings:
    values = np.array([split_means(run)["nDCG@10"] for run in runs])
    found: Settings = {
        "mean": values.mean(0).tolist(),
        "standard_deviation": float(values.mean(1).std(ddof=1)),
        "settings": {k: v for k, v in runs[0].settings.items() if k not in COMMON},
    }
    if runs is not ours:
        found["recipe_minus_this"] = paired_difference(_weighed(ours), _weighed(runs))
    return found


def _weighed(runs: list[Run]) -> NDArray[np.float64]:
    """Return runs × queries whose mean over all queries is the mean of the splits' means."""
    parts = [per_query(runs, split) for split in SPLITS]
    counts = [np.isfinite(part[0]).sum() for part in parts]
    return np.hstack([part * sum(counts) / (4 * n) for part, n in zip(parts, counts, strict=True)])


def main() -> None:
    """Train all cells and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "sensitivity")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found: Any = {"rates": RATES, "seeds": SEEDS, "common": COMMON}
    found["cells"] = list(tables(given.out, Workers(given.workers)))
    write_figures("sensitivity", found)
    write_page()


if __name__ == "__main__":
    main()
