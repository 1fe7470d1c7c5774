"""Public graded losses, and candidates for ranking new documents, beside rankfield's loss.

    python benchmarks/contenders.py graded           on the sets named in GRADED_SETS
    python benchmarks/contenders.py candidates

Graded losses get the eight trials of `fair.py`, with two settings of their own in turn. A candidate
is the default with something added: it begins with the setting that `fair.py` chose for the default
and has two strengths to choose from on dev. All have the first three of the set's seeds, with which
the rows of `fair.py` are shown again. Figures go to benchmarks/results/, as graded.json and
candidates.json.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from by_set import figures_by_set, read_figures, set_options
from fair import TUNING_SEED, Comparison, chosen_before, prepared
from fair_sets import DEFAULT, GCL, SETS, THRESHOLD, Arm, FairSet, arms_of, trials
from worker import Run, Settings, Workers, dev_mean, differences, logged, spread

SEEDS = (0, 1, 2)
GRADED_SETS = ("small", "luma", "grocery")
CANDIDATE_SETS = ("small", "small-long", "luma")


def _graded(name: str, loss: str, first: Settings, second: Settings) -> Arm:
    settings = {
        "loss.name": f"graded.{loss}",
        "loss.direction": "query_to_document",
        "batch.more_queries": 64,
    }
    return Arm(name, settings, (_split(first), _split(second)))


def _split(own: Settings) -> Settings:
    """Return settings with the loss's own parameters gathered; a margin is the recipe's key."""
    margin = {f"loss.{k}": v for k, v in own.items() if k == "margin"}
    return {"loss.parameters": {k: v for k, v in own.items() if k != "margin"}, **margin}


GRADED = (
    _graded("BiXSE", "bixse:BiXSELoss", {}, {"unjudged": 0.1}),
    _graded("FlagEmbedding kl_div", "flag_kl:FlagKLLoss", {}, {"sharpness": 3.0}),
    _graded("FlagEmbedding m3_kd_loss", "m3_kd:M3KDLoss", {}, {"sharpness": 3.0}),
    _graded("Trove graded KL", "trove_kl:TroveKLLoss", {}, {"sharpness": 10.0}),
    _graded("SupCon by grade", "supcon:GradedSupConLoss", {}, {"power": 1.0}),
    _graded(
        "multi-class circle",
        "circle:MultiClassCircleLoss",
        {"margin": 0.25},
        {"margin": 0.4, "fixed_scale": 32.0},
    ),
    _graded("LSEPair", "lsepair:LSEPairLoss", {}, {"divided": True}),
    _graded("CoSENT", "cosent:CoSENTLoss", {}, {"unjudged": True}),
    _graded("AnglE", "angle:AnglELoss", {"unjudged": True}, {"unjudged": True, "cosine": 1.0}),
    _graded("MarginMSE", "margin_mse:MarginMSELoss", {}, {"unjudged": True, "fixed_scale": 2.0}),
    _graded("SyCL Wasserstein", "wasserstein:WassersteinLoss", {}, {"sharpness": 10.0}),
)


def _candidate(name: str, *options: Settings) -> tuple[str, tuple[Settings, ...]]:
    return name, options


def _own(loss: str, **parameters: Any) -> Settings:
    return {"loss.name": f"candidates.{loss}", "loss.parameters": parameters}


CANDIDATES = (
    _candidate(
        "spread-out, orthogonal",
        _own("spread:SpreadOutLoss", weight=0.1),
        _own("spread:SpreadOutLoss", weight=1.0),
    ),
    _candidate(
        "spread-out, uniformity",
        _own("spread:SpreadOutLoss", weight=0.05, form="uniformity"),
        _own("spread:SpreadOutLoss", weight=0.3, form="uniformity"),
    ),
    _candidate(
        "dropout on document embeddings",
        _own("noise:DocumentNoiseLoss", p=0.1),
        _own("noise:DocumentNoiseLoss", p=0.3),
    ),
    _candidate(
        "mixup of a query's documents",
        _own("mixup:DocumentMixupLoss", alpha=1.0, share=0.5),
        _own("mixup:DocumentMixupLoss", alpha=0.3, share=1.0),
    ),
    _candidate(
        "unjudged documents compete less",
        _own("unjudged:UnjudgedLoss", unjudged=0.5),
        _own("unjudged:UnjudgedLoss", unjudged=0.1),
    ),
    _candidate(
        "debiased",
        _own("unjudged:UnjudgedLoss", prior=0.01),
        _own("unjudged:UnjudgedLoss", prior=0.1),
    ),
    _candidate(
        "1.5-entmax in place of softmax",
        _own("entmax:EntmaxLoss", alpha=1.5),
        {**_own("entmax:EntmaxLoss", alpha=1.5), "loss.max_logit_scale": 30.0},
    ),
    _candidate("EMA of the weights", {"average.ema": 0.98}, {"average.ema": 0.995}),
    _candidate("field dropout", {"data.field_dropout": 0.1}, {"data.field_dropout": 0.3}),
    _candidate("a term for each field", {"loss.per_field": 0.1}, {"loss.per_field": 0.5}),
    _candidate(
        "sharpness-aware steps (SAM)",
        {"candidate.sharpness": 0.02},
        {"candidate.sharpness": 0.1},
    ),
    _candidate(
        "random negatives of the catalogue",
        {"candidate.catalogue": 0.2},
        {"candidate.catalogue": 1.0},
    ),
    _candidate(
        "a first model's grades of unjudged documents",
        {"candidate.soft_labels": 0.3},
        {"candidate.soft_labels": 1.0},
    ),
    _candidate(
        "boosted trees' grades of unjudged documents",
        {"candidate.trees": 0.3},
        {"candidate.trees": 1.0},
    ),
    _candidate(
        "agreement of a document's fields",
        {"candidate.agreement": 0.1},
        {"candidate.agreement": 0.5},
    ),
    _candidate(
        "field weights by the query (mFAR)",
        {"candidate.query_weights": {"whole": False}},
        {"candidate.query_weights": {"whole": True}},
    ),
    _candidate("margin", {"loss.margin": 0.05}, {"loss.margin": 0.15}),
    _candidate(
        "more weight decay",
        {"optimizer.weight_decay": 1.0},
        {"optimizer.weight_decay": 3.0},
    ),
)


def compared(
    name: str, folder: Path, workers: Workers, what: str, only: list[str] | None = None
) -> Settings:
    """Return the figures of a set's contenders (of these names) and of the fair comparison's."""
    wanted: FairSet = SETS[name]
    comparison = Comparison(name, folder, workers)
    first = [arm for arm in arms_of(wanted) if arm.name in (THRESHOLD, GCL, DEFAULT)]
    chosen = chosen_before(name, [arm.name for arm in first]) or comparison.tuned(
        {arm.name: trials(arm, wanted) for arm in first}
    )
    if what == "graded":
        options = {arm.name: trials(arm, wanted) for arm in GRADED}
    else:
        options = {n: [{**chosen[DEFAULT], **own} for own in some] for n, some in CANDIDATES}
        if name == "grocery":  # one field
            options = {n: o for n, o in options.items() if "field" not in n}
    options = {n: o for n, o in options.items() if only is None or n in only}
    chosen |= comparison.tuned(options)
    runs = {row: comparison.runs(one, SEEDS, "test") for row, one in chosen.items()}
    workers.finish([run for some in runs.values() for run in some], name)
    dev = {
        row: max(dev_mean(comparison.runs(one, (TUNING_SEED,), "dev")[0]) for one in some)
        for row, some in options.items()
    }
    rows = {row: _row(some, runs[DEFAULT]) for row, some in runs.items()}
    for row, value in dev.items():
        rows[row]["dev"] = value
    return {"set": name, "seeds": SEEDS, "rows": rows}


def _row(runs: list[Run], ours: list[Run]) -> Settings:
    row: Settings = {
        **spread(runs),
        "settings": runs[0].settings,
        "seconds": min(logged(runs, "seconds")),
        "documents": statistics.fmean(logged(runs, "documents")),
    }
    if runs != ours:
        row["against_default"] = differences(runs, ours)
    return row


def main() -> None:
    """Run the contenders that are asked for and write figures and page."""
    parser = set_options(__doc__)
    parser.add_argument("what", choices=["graded", "candidates"])
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these alone")
    given = parser.parse_args()
    workers = Workers(given.workers)

    def made(name: str) -> Settings:
        folder = prepared(name, given.out, given.data, given.cranfield)
        found = compared(name, folder, workers, given.what, given.only)
        if given.only is not None:  # beside those that were trained before
            before = read_figures(given.what).get(name, found)
            found["rows"] = {**before["rows"], **found["rows"]}
        return found

    sets = given.sets or (GRADED_SETS if given.what == "graded" else CANDIDATE_SETS)
    figures_by_set(given.what, sets, made)


if __name__ == "__main__":
    main()
