"""Training and measuring on folds of the queries: each query is tested once, by all documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rankfield.curation import split
from rankfield.evaluation import DatasetIdentity, EvaluationOptions, Results, evaluate
from rankfield.evaluation.folds import pool_folds
from rankfield.evaluation.measured_data import measured_data
from rankfield.marked_folder import begin_or_go_on
from rankfield.schema import RankingDataset
from rankfield.training.recipe import Recipe
from rankfield.training.unfinished import begin_or_resume

__all__ = ["Folds", "cross_validate"]

_SPLIT = "novel_query"
_MARK = "folds.json"


@dataclass(frozen=True)
class Folds:
    """How queries are divided.

    count: how many folds, at least 2.
    seed: another one gives other folds.
    group_queries_by, stratify_queries_by: as `curation.split`.
    """

    count: int = 5
    seed: int = 0
    group_queries_by: str | None = None
    stratify_queries_by: str | None = None

    def data(self, dataset: RankingDataset, fold: int) -> RankingDataset:
        """Return a fold's data set: its queries are unseen, all documents seen, no query is dev.

        Raises:
            SplitError: fewer groups of queries than folds, or no such column.
        """
        return split(
            dataset,
            folds=self.count,
            fold=fold,
            documents=1,
            dev=0,
            seed=self.seed,
            group_queries_by=self.group_queries_by,
            stratify_queries_by=self.stratify_queries_by,
        )


def cross_validate(
    recipe: Recipe,
    dataset: RankingDataset,
    out: str | Path,
    folds: Folds | None = None,
    *,
    options: EvaluationOptions | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Train on all folds but one, test on that one, for each fold, and return the pooled results.

    `out` gets `fold-0/data` (the data set of the fold), `fold-0/run` and `fold-0/results.json`,
    and so on. There are no dev queries: each training keeps its last model. The results are of the
    split "all": each judged query once, searched in all documents, so that they compare with those
    of any system that was evaluated on `dataset` itself. An interrupted call goes on.

    Args:
        recipe: of every training; its seed is that of each.
        dataset: what to divide; an earlier split is replaced.
        out: a new folder, or that of an interrupted call with the same arguments.
        folds: how to divide.
        options: how each fold is measured; its splits and subset are those of the folds.
        say: is told what begins.

    Raises:
        OutputError: `out` is something else.
        SplitError, RecipeError, DataError, ModelError: as `curation.split`, `train`, `evaluate`.
        KeyboardInterrupt: after a checkpoint.
    """
    folds, place, options = folds or Folds(), Path(out), options or EvaluationOptions()
    settings = _settings(recipe, dataset, folds, options)
    begin_or_go_on(place, _MARK, settings, "an unfinished run of this recipe, data and folds")
    trainings = _Trainings(recipe, dataset, place, folds, options, say)
    parts = [trainings.results(fold) for fold in range(folds.count)]
    metrics = [one.splits[_SPLIT]["nDCG@10"] for one in parts]
    judged = dataset.judgments.join(dataset.queries.select("query_id"), on="query_id", how="semi")
    path = str(dataset.root.resolve()) if dataset.root else ""
    pooled = pool_folds(
        parts,
        data=DatasetIdentity(dataset.name, dataset.fingerprint(), path),
        names={_SPLIT: "all"},
        metadata={
            key: value
            for key, value in parts[0].metadata.items()
            if key not in ("model", "fingerprint", "judgments", "scale")
        }
        | measured_data({"all": judged}, dataset.score_scale)
        | {
            "folds": {
                "count": folds.count,
                "seed": folds.seed,
                "nDCG@10": [mean.value for mean in metrics],
                "queries": [mean.queries for mean in metrics],
            },
            "recipe": _recipe_sum(recipe),
        },
    )
    return replace(pooled, model=recipe.name, label=options.label, subset="all")


@dataclass(frozen=True)
class _Trainings:
    """The training and measurement of each fold, as `cross_validate`."""

    recipe: Recipe
    dataset: RankingDataset
    place: Path
    folds: Folds
    options: EvaluationOptions
    say: Callable[[str], None]

    def results(self, fold: int) -> Results:
        """Train and measure a fold, or read what is done."""
        folder = self.place / f"fold-{fold}"
        done = folder / "results.json"
        if done.exists():
            return Results.load(done)
        if not (folder / "data").exists():
            self.folds.data(self.dataset, fold).save(folder / "data")
        data = RankingDataset.load(folder / "data")
        queries = f"{int((~data.queries['seen']).sum()):,} queries"
        self.say(f"fold {fold + 1} of {self.folds.count}: train, then test on {queries}")
        model = begin_or_resume(_on(self.recipe, folder / "data"), data, folder / "run")
        options = replace(self.options, splits=[_SPLIT], subset="test")
        results = evaluate(model, data, options)
        results.save(done)
        return results


def _on(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the fold's data set, so that the run's own recipe names it."""
    section = recipe.data.model_copy(update={"dataset": str(folder.resolve())})
    return recipe.model_copy(update={"data": section})


def _settings(
    recipe: Recipe, dataset: RankingDataset, folds: Folds, options: EvaluationOptions
) -> dict[str, Any]:
    return {
        "data": dataset.fingerprint(),
        "recipe": _recipe_sum(recipe),
        "folds": folds.count,
        "seed": folds.seed,
        "group_queries_by": folds.group_queries_by,
        "stratify_queries_by": folds.stratify_queries_by,
        "metrics": [str(metric) for metric in options.metrics],
    }


def _recipe_sum(recipe: Recipe) -> str:
    """Return sha256 of what the recipe says, the place of the data apart."""
    said = _on(recipe, Path()).model_dump(mode="json", exclude={"data": {"dataset"}})
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
