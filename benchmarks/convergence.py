"""nDCG@10 of the four splits against steps and documents encoded, up to 16 times the budget.

    python benchmarks/convergence.py                 the small shop, its plot and its variants
    python benchmarks/convergence.py luma --lengths 1 4 --arms GCL "rankfield's loss"

Each arm begins with the setting that `fair.py` chose for it and is trained anew for each length
(its decay ends with it), with both of the set's rates, GCL and the default with two ways of drawing
batches too; dev chooses among them at each length, with the tuning seed, and the length at which to
stop early. Test has three seeds. Two variants of the shop ask why a lead ends: one without what no
field shows, one in which every product is judged. Figures go to benchmarks/results/convergence.json
and .svg, beside those of other sets and arms; results_page.py writes the page.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np

from by_set import read_figures, set_options, write_figures, write_page
from fair import TUNING_SEED, Comparison, chosen_before, prepared
from fair_sets import CLIP, DEFAULT, GCL, SETS, THRESHOLD, FairSet, arms_of, trials
from worker import SPLITS, Run, Settings, Workers, dev_mean, differences, logged, spread

HERE = Path(__file__).parent
LENGTHS = (1, 2, 4, 8, 16)
ASKED = ("small", "small-plain", "small-judged")
ARMS = (THRESHOLD, GCL, DEFAULT)
SEEDS = 3
BATCHES: dict[str, tuple[Settings, ...]] = {
    CLIP: ({},),
    THRESHOLD: ({},),
    GCL: ({}, {"batch.documents_per_query": 1, "batch.choice": "uniform"}),
    DEFAULT: ({}, {"batch.more_queries": 0}),
}
"""What the arms are tuned over at each length beside the rate: the batches that `fair.py` chose for
them, and others in which a step has fewer judged pairs of each query."""


def curves(
    name: str,
    folder: Path,
    workers: Workers,
    lengths: tuple[int, ...] = LENGTHS,
    arms: tuple[str, ...] = ARMS,
) -> Settings:
    """Return the curves of a set's arms."""
    wanted: FairSet = SETS[name]
    comparison = Comparison(name, folder, workers)
    options = {arm.name: trials(arm, wanted) for arm in arms_of(wanted) if arm.name in arms}
    chosen = chosen_before(name, list(options)) or comparison.tuned(options)
    longer = {
        (arm, times): [
            {**setting, **batches, "optimizer.steps": steps, "optimizer.learning_rate": rate}
            for batches in BATCHES[arm]
            for rate in wanted.rates
        ]
        for arm, setting in chosen.items()
        for times in lengths
        for steps in [wanted.common["optimizer.steps"] * times]
    }
    best = comparison.tuned({f"{arm} × {n}": v for (arm, n), v in longer.items()})
    tests: dict[tuple[str, int], list[Run]] = {}
    for arm, times in longer:
        tests[arm, times] = comparison.runs(best[f"{arm} × {times}"], wanted.seeds[:SEEDS], "test")
    workers.finish([run for runs in tests.values() for run in runs], name)
    dev = {
        key: dev_mean(comparison.runs(best[f"{key[0]} × {key[1]}"], (TUNING_SEED,), "dev")[0])
        for key in longer
    }
    return {
        "set": name,
        "steps": wanted.common["optimizer.steps"],
        "lengths": lengths,
        "arms": {
            arm: {
                "points": [_point(tests[arm, n], tests[GCL, n], dev[arm, n]) for n in lengths],
                "stopped": max(lengths, key=lambda n: dev[arm, n]),
            }
            for arm in chosen
        },
    }


def _point(runs: list[Run], paper: list[Run], dev: float) -> Settings:
    return {
        "dev": dev,
        **spread(runs),
        "documents": statistics.fmean(logged(runs, "documents")),
        "seconds": statistics.fmean(logged(runs, "seconds")),
        "settings": runs[0].settings,
        "against": None if runs == paper else differences(runs, paper),
    }


def plot(found: Settings, path: Path) -> None:
    """Write the curves of one set, a panel for each split."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "rankfield"
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 4, figsize=(12, 3.2), sharey=True)
    steps = [found["steps"] * n for n in found["lengths"]]
    for split, panel in enumerate(panels):
        for arm, curve in found["arms"].items():
            means = np.array([point["mean"][split] for point in curve["points"]])
            spread = np.array([point["standard_deviation"][split] for point in curve["points"]])
            (line,) = panel.plot(steps, means, marker="o", markersize=3, label=arm)
            panel.fill_between(
                steps, means - spread, means + spread, color=line.get_color(), alpha=0.15
            )
        panel.set_xscale("log", base=2)
        panel.set_xticks(steps, [f"{n:,}" for n in steps])
        panel.minorticks_off()
        panel.set_title(SPLITS[split].replace("_", " "), fontsize=10)
        panel.set_xlabel("steps")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("nDCG@10 on test")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Train all lengths and write figures and plot."""
    parser = set_options(__doc__, ASKED)
    parser.add_argument("--lengths", nargs="+", type=int, metavar="TIMES", default=LENGTHS)
    parser.add_argument("--arms", nargs="+", metavar="ARM", choices=BATCHES, default=ARMS)
    given = parser.parse_args()
    workers = Workers(given.workers)
    found = read_figures("convergence")
    for name in given.sets:
        folder = prepared(name, given.out, given.data, given.cranfield)
        variant = name in ASKED[1:]
        lengths, arms = (LENGTHS[-1:], (GCL, DEFAULT)) if variant else (given.lengths, given.arms)
        made = curves(name, folder, workers, tuple(lengths), tuple(arms))
        before = found.get(name, made)
        if list(before["lengths"]) == list(lengths):
            made["arms"] = {**before["arms"], **made["arms"]}
        found[name] = made
        write_figures("convergence", found)
    plot(found[ASKED[0]], HERE / "results" / "convergence.svg")
    write_page()


if __name__ == "__main__":
    main()
