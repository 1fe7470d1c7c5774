"""Losses compared fairly: every one is tuned over the ways of drawing batches, and alike.

    python benchmarks/fair.py                        all sets, then RESULTS.md
    python benchmarks/fair.py luma grocery --workers 2
    PYTHONPATH=benchmarks python benchmarks/fair.py luma-pretrained grocery-pretrained
    python benchmarks/fair.py cranfield --cranfield DIR      with cran.all.1400, cran.qry, cranqrel

`fair_sets.py` says what is compared. Each arm has the same eight trials (four ways of drawing × two
scales and rates, with two weights or thresholds in turn), chosen with seed 100 by the mean dev
nDCG@10 over the four splits; the chosen setting is trained with the set's seeds and measured on
test. Unseen documents have a dev and a test half as queries have. Runs are kept in OUT and not
repeated. Figures go to benchmarks/results/fair_SET.json, the page to RESULTS.md.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from by_set import read_figures, set_options, write_figures, write_page
from cranfield import cranfield_tables
from fair_sets import CLIP, DEFAULT, FAIR, GCL, SETS, THRESHOLD, FairSet, arms_of, trials
from quality_baselines import baselines
from smaller import smaller
from worker import (
    METRICS,
    SPLITS,
    Run,
    Settings,
    Workers,
    dev_mean,
    differences,
    halved,
    logged,
    rankfield,
    spread,
)

TUNING_SEED = 100


def prepared(name: str, out: Path, data: Path, cranfield: Path | None) -> Path:
    """Return the folder of a set, made and split if it is not there yet."""
    wanted, folder = SETS[name], out / name
    if (folder / "split").is_dir():
        return folder
    if "{made}" in wanted.prepare and not (folder / "tables").is_dir():
        if cranfield is None:
            sys.exit("Cranfield is not among the data: give its folder with --cranfield")
        cranfield_tables(cranfield, folder / "tables")
    places = {"raw": str(folder / "data"), "data": str(data), "made": str(folder / "tables")}
    if not (folder / "data").is_dir():
        rankfield(part.format(**places) for part in wanted.prepare)
    whole = folder / ("split" if wanted.others is None else "whole")
    if not whole.is_dir():
        rankfield(["split", places["raw"], str(whole), *wanted.split])
    if wanted.others is not None:
        from rankfield.schema import RankingDataset

        smaller(RankingDataset.load(whole), wanted.others).save(folder / "split")
    (folder / "runs").mkdir(exist_ok=True)
    return folder


class Comparison:
    """One set's runs: tuned, trained with all seeds, compared."""

    def __init__(self, name: str, folder: Path, workers: Workers) -> None:
        self.name, self.set, self.folder, self.workers = name, SETS[name], folder, workers

    def runs(self, settings: Settings, seeds: tuple[int, ...], subset: str) -> list[Run]:
        """Return the runs of a setting."""
        recipe, group = self.set.recipe, self.set.group
        return [Run(self.folder, recipe, settings, seed, subset, group) for seed in seeds]

    def tuned(self, options: dict[str, list[Settings]]) -> dict[str, Settings]:
        """Return name → the setting of the best mean dev nDCG@10 of the four splits."""
        tried = {
            name: [self.runs(one, (TUNING_SEED,), "dev")[0] for one in settings]
            for name, settings in options.items()
        }
        self.workers.finish([run for runs in tried.values() for run in runs], self.name)
        return {name: max(runs, key=dev_mean).settings for name, runs in tried.items()}

    def tested(self, chosen: dict[str, Settings], against: tuple[str, ...]) -> Settings:
        """Return name → figures on test with all seeds, and tests against some of the rows."""
        runs = {name: self.runs(one, self.set.seeds, "test") for name, one in chosen.items()}
        self.workers.finish([run for some in runs.values() for run in some], self.name)
        return {name: self._row(name, runs, against) for name in chosen}

    def _row(self, name: str, runs: dict[str, list[Run]], against: tuple[str, ...]) -> Settings:
        own = {k: v for k, v in runs[name][0].settings.items() if self.set.common.get(k) != v}
        row: Settings = {"settings": own}
        row |= {metric: spread(runs[name], metric) for metric in METRICS}
        for key in ("documents", "queries", "pairs"):
            row[key] = statistics.fmean(logged(runs[name], key))
        row["fingerprint"] = logged(runs[name], "fingerprint")[0]
        row["against"] = {
            other: differences(runs[name], runs[other])
            for other in against
            if other != name and other in runs
        }
        return row


def chosen_before(name: str, arms: list[str]) -> dict[str, Settings]:
    """Return what `fair.py` chose for these arms; nothing if the set is not among its figures."""
    found = read_figures(f"fair_{name}")
    if not found:
        return {}
    return {arm: {**found["common"], **found["rows"][arm]["settings"]} for arm in arms}


def compared(name: str, folder: Path, workers: Workers, arms: list[str] | None) -> Settings:
    """Return the figures of a set; only these arms are tuned, all by default."""
    wanted: FairSet = SETS[name]
    comparison = Comparison(name, folder, workers)
    options = {arm.name: trials(arm, wanted) for arm in arms_of(wanted)}
    known = chosen_before(name, [arm for arm in options if arms is not None and arm not in arms])
    found = comparison.tuned({arm: some for arm, some in options.items() if arm not in known})
    chosen = {arm: known.get(arm) or found[arm] for arm in options}
    rows = comparison.tested(chosen, (CLIP, THRESHOLD, GCL))
    half = folder / "test-half"
    if not half.is_dir():
        from rankfield.schema import RankingDataset

        halved(RankingDataset.load(folder / "split"), "test", wanted.group).save(half)
    before = baselines(half, folder / "baselines.json", METRICS, wanted.text_weights)
    return {
        "set": name,
        "splits": SPLITS,
        "seeds": wanted.seeds,
        "tuning_seed": TUNING_SEED,
        "common": wanted.common,
        "fingerprint": rows[DEFAULT].pop("fingerprint"),
        "rows": {**before, **rows},
    }


def main() -> None:
    """Run the comparisons that are asked for and write the page."""
    parser = set_options(__doc__, FAIR)
    parser.add_argument(
        "--arms",
        nargs="+",
        metavar="ARM",
        help="tune these alone; the others are trained with what was chosen before",
    )
    given = parser.parse_args()
    workers = Workers(given.workers)
    for name in given.sets:
        if name not in SETS:
            parser.error(f"no set {name!r}; expected {', '.join(SETS)}")
        folder = prepared(name, given.out, given.data, given.cranfield)
        found = compared(name, folder, workers, given.arms)
        write_figures(f"fair_{name}", found)
    write_page()


if __name__ == "__main__":
    main()
