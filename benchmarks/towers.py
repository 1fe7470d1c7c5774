"""Pretrained towers of texts and photos in one model: kept, trained by layers, or with adapters.

    python benchmarks/towers.py                      both sets, then RESULTS.md
    python benchmarks/towers.py luma-pretrained

all-MiniLM-L6-v2 beside EfficientNet-Lite0 at 96 pixels, the default's loss as `fair.py` chose it
for towers that are kept. The ways have the same steps (kept towers, which cost little, also those
of `fair.py`), two rates each, of which dev takes the better with the tuning seed, and a share of
the base towers that dev chooses (WiSE-FT). Three seeds on test. Figures go to
benchmarks/results/towers.json, the page to RESULTS.md.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from by_set import figures_by_set, set_options
from fair import Comparison, chosen_before, prepared
from fair_sets import DEFAULT, PRETRAINED
from worker import Settings, Workers, differences, logged, spread

SEEDS = (0, 1, 2)
STEPS, LONG = 30, 200
KEPT = "kept, heads alone"
TRAINED: Settings = {"encoder.freeze": [], "average.wise": [0.3, 0.5, 0.7], "precision": "bf16"}
ADAPTED = ["query", "key", "value", "dense", "_expand_conv", "_project_conv"]
WAYS: dict[str, tuple[Settings, tuple[float, float]]] = {
    KEPT: ({}, (2e-3, 5e-3)),
    f"{KEPT}, {LONG} steps": ({"optimizer.steps": LONG, "dev.every": LONG}, (1e-3, 2e-3)),
    "all weights, layer decay .9, WiSE-FT": (
        {**TRAINED, "optimizer.layer_decay": 0.9},
        (2e-4, 1e-3),
    ),
    "LoRA of rank 8, WiSE-FT": (
        {**TRAINED, "lora.rank": 8, "lora.targets": ADAPTED},
        (5e-4, 2e-3),
    ),
}
"""Name of a row → its settings, and two rates."""


def compared(name: str, folder: Path, workers: Workers) -> Settings:
    """Return the figures of each way."""
    comparison = Comparison(name, folder, workers)
    common = {
        **chosen_before(name, [DEFAULT])[DEFAULT],
        "encoder.vision_model": "lite_tower:efficientnet_lite0_96",
        "optimizer.steps": STEPS,
        "dev.every": STEPS,
    }
    options = {
        row: [{**common, **own, "optimizer.learning_rate": rate} for rate in rates]
        for row, (own, rates) in WAYS.items()
    }
    chosen = comparison.tuned(options)
    runs = {row: comparison.runs(settings, SEEDS, "test") for row, settings in chosen.items()}
    workers.finish([run for some in runs.values() for run in some], name)
    rows = {}
    for row, some in runs.items():
        own = {key: value for key, value in chosen[row].items() if common.get(key) != value}
        own["optimizer.learning_rate"] = chosen[row]["optimizer.learning_rate"]
        rows[row] = {
            **spread(some),
            "settings": own,
            "seconds": statistics.fmean(logged(some, "seconds")),
            "against_kept": [] if row == KEPT else differences(some, runs[KEPT]),
        }
    return {"set": name, "seeds": SEEDS, "common": common, "rows": rows}


def main() -> None:
    """Train, measure, and write figures and page."""
    given = set_options(__doc__, PRETRAINED).parse_args()
    workers = Workers(given.workers)

    def made(name: str) -> Settings:
        return compared(name, prepared(name, given.out, given.data, given.cranfield), workers)

    figures_by_set("towers", given.sets, made)


if __name__ == "__main__":
    main()
