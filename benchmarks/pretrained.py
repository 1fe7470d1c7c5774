"""The default recipe from a pretrained text model, against the model it began with.

    python benchmarks/pretrained.py            icecat and Cranfield, then RESULTS.md

`rankfield recipe --encoder` writes the settings: learning rate, layer decay, and a share of the
base model that dev queries choose (WiSE-FT); dev is measured before the first step and four times
on the way, and the best model is kept. The length is chosen on dev with the tuning seed; the test
has three seeds, with the share and without. Figures go to benchmarks/results/, as
pretrained.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fair import TUNING_SEED, Comparison, prepared
from fair_sets import SETS
from quality_baselines import MINILM
from worker import (
    METRICS,
    ROOT,
    Run,
    Settings,
    Workers,
    dev_mean,
    differences,
    flat,
    halved,
    spread,
)

HERE = Path(__file__).parent
STEPS = (20, 60)
MEASURED = 4
SEEDS = (0, 1, 2)
NAMES = ("icecat", "cranfield")
WHOLE, WITHOUT = "default recipe", "default recipe without the base model's share"


def recipe_settings(dataset: Any, weights: dict[str, float]) -> Settings:
    """Return what `rankfield recipe --encoder` sets for a data set, as settings of a run."""
    from rankfield.training.methods import fitted_settings
    from rankfield.training.pretrained_start import pretrained_start

    found = fitted_settings("ranked", dataset, pretrained=True)
    for section, keys in pretrained_start(MINILM, dataset, allow_code=True).settings.items():
        found.setdefault(section, {}).update(keys)
    return {**flat(found), "data.document_weights": weights, "batch.size": 32, "precision": "bf16"}


def measure_untrained(run: Run, weights: dict[str, float]) -> None:
    """Keep the base model's figures on test as those of a run."""
    from rankfield.evaluation import EvaluationOptions, evaluate
    from rankfield.schema import RankingDataset
    from rankfield.training import build_model, parse_recipe

    data = halved(RankingDataset.load(run.folder / "split"), run.subset, run.group)
    encoder = {"kind": "sentence-transformers", "model": MINILM}
    values = {"encoder": encoder, "data": {"document_weights": weights}}
    model = build_model(parse_recipe(values, allow_code=True), data)
    found = evaluate(model, data, EvaluationOptions(subset=run.subset))
    per_query_file = run.file.with_suffix(".parquet")
    found.queries.select("split", "query_id", *METRICS).write_parquet(per_query_file)
    run.file.write_text("{}", "utf-8")


def compared(name: str, folder: Path, workers: Workers) -> Settings:
    """Return the figures of a set."""
    from rankfield.schema import RankingDataset

    wanted = SETS[name]
    comparison = Comparison(name, folder, workers)
    base = Run(folder, "untrained", {}, 0, "test", wanted.group)
    if not base.file.exists():
        measure_untrained(base, wanted.text_weights)
    data = halved(RankingDataset.load(folder / "split"), "dev", wanted.group)
    settings = recipe_settings(data, wanted.text_weights)
    options = [
        {**settings, "optimizer.steps": steps, "dev.every": steps // MEASURED} for steps in STEPS
    ]
    chosen = comparison.tuned({WHOLE: options})[WHOLE]
    tests = {
        WHOLE: comparison.runs(chosen, SEEDS, "test"),
        WITHOUT: comparison.runs({**chosen, "average.wise": []}, SEEDS, "test"),
    }
    workers.finish([run for runs in tests.values() for run in runs], name)
    lengths = {
        str(one["optimizer.steps"]): dev_mean(comparison.runs(one, (TUNING_SEED,), "dev")[0])
        for one in options
    }
    rows = {"untrained": _row([base], [base])}
    rows |= {row: _row(runs, [base]) for row, runs in tests.items()}
    return {"set": name, "seeds": SEEDS, "lengths": lengths, "rows": rows}


def _row(runs: list[Run], base: list[Run]) -> Settings:
    row = spread(runs)
    if runs != base:
        row["settings"] = runs[0].settings
        row["against_untrained"] = differences(runs, base)
    return row


def main() -> None:
    """Train, measure, and write figures and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", nargs="*", metavar="SET", default=NAMES)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "fair")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--cranfield", type=Path, help="folder of the collection's three files")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    workers = Workers(given.workers)
    path = HERE / "results" / "pretrained.json"
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for name in given.sets:
        folder = prepared(name, given.out, given.data, given.cranfield)
        found[name] = compared(name, folder, workers)
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    subprocess.run([sys.executable, str(HERE / "results_page.py")], check=True)


if __name__ == "__main__":
    main()
