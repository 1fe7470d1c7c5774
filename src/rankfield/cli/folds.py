"""`rankfield folds`: train and test on each fold of the queries, and pool the results."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli.options import AllowCode, Dataset
from rankfield.cli.program import program
from rankfield.cli.results_table import ShownMetrics, chosen_metrics, show_results, with_metrics
from rankfield.terminal import echo

__all__ = ["command"]


def command(
    recipe: Annotated[Path, typer.Argument(help="TOML recipe; `rankfield recipe` prints one.")],
    dataset: Dataset,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the folds and their pooled results.")],
    folds: Annotated[int, typer.Option(min=2, help="How many.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed gives other folds.")] = 0,
    group_queries_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Queries with the same value stay in one fold."),
    ] = None,
    stratify_queries_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Each value is in every fold in the same proportion; frequency: the number of "
            "judgments.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Runs of one label are averaged by `rankfield compare`.")
    ] = None,
    metric: ShownMetrics = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a value of the recipe: optimizer.steps=2000."),
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Train on all folds of the queries but one, test on that one, in turn, and pool the results.

    Each query is tested once, and searched in all documents. There are no dev queries: each
    training keeps its last model. The pooled results compare with those of any system that was
    evaluated on the data set itself. Interrupted, the same command goes on where it stopped.

    Example: rankfield folds gcl.toml shop --folds 5 --out gcl-folds
    """
    from rankfield.evaluation import EvaluationOptions, Results
    from rankfield.report.style import decimal
    from rankfield.training import load_recipe
    from rankfield.training.cross_validation import Folds, cross_validate
    from rankfield.validate import load_valid

    metrics = chosen_metrics(metric or (), "rankfield", allow_code=allow_code)
    wanted = load_recipe(recipe, set_ or (), allow_code=allow_code)
    data = load_valid(dataset)
    target = out / "results.json"
    Results.require_new(target)
    how = Folds(folds, seed, group_queries_by, stratify_queries_by)
    options = with_metrics(EvaluationOptions(label=label), metrics)
    try:
        results = cross_validate(wanted, data, out, how, options=options, say=echo)
    except KeyboardInterrupt:
        again = shlex.join(sys.argv[1:])
        echo(f"stopped; go on with: {program()} {again}", err=True)
        raise
    results.save(target)
    show_results(results, [str(one) for one in metrics])
    means = results.metadata["folds"]["nDCG@10"]
    said = ", ".join(map(decimal, means))
    echo(f"nDCG@10 of each fold: {said}.")
    echo(f"Each query once, over all documents: {target}")
