"""The default recipe from a pretrained text model, against the model it began with.

    python benchmarks/pretrained.py            all sets, then RESULTS.md

What `rankfield recipe --encoder` writes is trained as it stands, in bfloat16: nothing is tuned. A
share of the base model is chosen on dev (WiSE-FT), dev is measured before the first step and five
times on the way, and the best model is kept. Of luma, grocery and the shops the model reads the
texts alone. Figures go to benchmarks/results/, as pretrained.json.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from by_set import figures_by_set, set_options
from fair import prepared
from fair_sets import SETS
from quality_baselines import MINILM
from worker import METRICS, Run, Settings, Workers, differences, flat, halved, logged, spread

SEEDS, FEWER_SEEDS = (0, 1, 2), {"shop": (0, 1)}
"""Seeds of a set; a run of the shop takes forty minutes on two busy cores."""
NAMES = ("icecat", "cranfield", "luma", "grocery", "small", "shop")
BASE, WHOLE = "untrained", "default recipe"
RECIPE = "icecat"
"""The file that settings are put over: they name every key."""


def recipe_settings(folder: Path) -> tuple[Settings, Settings]:
    """Return what `rankfield recipe --encoder` writes for a set: all, and what is not as ever."""
    from rankfield.schema import RankingDataset
    from rankfield.training import parse_recipe
    from rankfield.training.pretrained_start import pretrained_start
    from rankfield.training.template import recipe_text

    dataset = RankingDataset.load(folder / "split")
    start = pretrained_start(MINILM, dataset, allow_code=True)
    text = recipe_text(dataset, start=start, allow_code=True)
    values = tomllib.loads(text)
    for key in ("name", "seed"):
        del values[key]
    del values["data"]["dataset"]
    values["precision"] = "bf16"
    own = parse_recipe(values, allow_code=True).model_dump(exclude_defaults=True)
    return _settings(values), _settings(own)


def _settings(values: Settings) -> Settings:
    sections = {key: value for key, value in values.items() if isinstance(value, dict)}
    others = {key: value for key, value in values.items() if key not in sections}
    return {**flat(sections), **others}


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
    settings, own = recipe_settings(folder)
    weights, group = settings["data.document_weights"], SETS[name].group
    base = Run(folder, BASE, {"data.document_weights": weights}, 0, "test", group)
    if not base.file.exists():
        measure_untrained(base, weights)
    seeds = FEWER_SEEDS.get(name, SEEDS)
    runs = [Run(folder, RECIPE, settings, seed, "test", group) for seed in seeds]
    workers.finish(runs, name)
    trained: Settings = {
        **spread(runs),
        "settings": own,
        "seconds": min(logged(runs, "seconds")),
        "against_untrained": differences(runs, [base]),
    }
    return {"set": name, "seeds": seeds, "rows": {BASE: spread([base]), WHOLE: trained}}


def main() -> None:
    """Train, measure, and write figures and page."""
    given = set_options(__doc__, NAMES).parse_args()
    workers = Workers(given.workers)

    def made(name: str) -> Settings:
        return compared(name, prepared(name, given.out, given.data, given.cranfield), workers)

    figures_by_set("pretrained", given.sets, made)


if __name__ == "__main__":
    main()
