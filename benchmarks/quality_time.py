"""Trains some steps and prints milliseconds per step; a process of its own for quality.py.

python benchmarks/quality_time.py SET FOLDER < settings.json
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

from worker import ROOT, toml_value


def main() -> None:
    """Train on one thread and time the stretches between the lines of the log."""
    import torch

    from rankfield.schema import RankingDataset
    from rankfield.training import load_recipe, train

    torch.set_num_threads(1)
    name, folder = sys.argv[1], Path(sys.argv[2])
    values = json.load(sys.stdin)
    recipe = load_recipe(
        ROOT / "recipes" / f"{name}.toml",
        [f"{k}={toml_value(v)}" for k, v in values.items()],
        allow_code=True,
    )
    data = RankingDataset.load(recipe.data.dataset)
    train(recipe, data.with_tables(queries=data.queries.drop("subset")), folder)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    lines = [line for line in log if line["event"] == "train"]
    least = min((b["seconds"] - a["seconds"]) / (b["step"] - a["step"]) for a, b in pairwise(lines))
    print(1000 * least)


if __name__ == "__main__":
    main()
