"""`rankfield demo`."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.clock import clock
from rankfield.cli.program import program
from rankfield.terminal import console, echo

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.schema import RankingDataset
    from rankfield.training import Recipe

__all__ = ["command"]

RUNS = {"CLIP": "clip", "GCL": "gcl", "Ranked": "ranked"}
"""What the three models are called → their method, whose settings go over demo.toml."""
_PAGE = "Search, compare and grade with the three models in a browser"


def command(
    out: Annotated[Path, typer.Argument(help="New folder for the data, the models, the page.")],
    documents: Annotated[int, typer.Option(min=200, help="Products in the sample shop.")] = 3000,
    queries: Annotated[int, typer.Option(min=50, help="Queries of the sample shop.")] = 1000,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of each model.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shop, the split and the training.")] = 0,
) -> None:
    """Make a sample shop, train a model in three ways, compare them on a page, and index the shop.

    The CLIP way, with the paper's loss (GCL), and with rankfield's own, which learns the order of
    each query's documents. The last line is the command that opens the search page.

    Example: rankfield demo demo-out

    Takes some minutes on two cores and needs no network. Interrupted, the same command goes on
    where it stopped.
    """
    from rankfield.marked_folder import begin_or_go_on
    from rankfield.report import write_report

    settings = {"documents": documents, "queries": queries, "steps": steps, "seed": seed}
    begin_or_go_on(out, "demo.json", settings, "an unfinished demo of these sizes")
    say = clock()
    say(f"Sample shop: {documents:,} products with photos, {queries:,} queries; four splits")
    data = _shop(out, documents, queries, seed)
    results = []
    for label in RUNS:
        recipe = _recipe(label, data, steps, seed)
        say(f"Train {label}: {_described(recipe)}, {recipe.optimizer.steps} steps")
        results.append(_train_and_evaluate(recipe, data, out / label.lower(), label))
    say("Index the shop with each model")
    _index(data, out)
    page = out / "report.html"
    write_report(
        page,
        dataset=data,
        results=results,
        training_logs={label: out / label.lower() / "log.jsonl" for label in RUNS},
        title="Ranked and GCL against CLIP on the sample shop",
        next_steps=[*_next_steps(out), f"{_PAGE}: `{_serve(out)}`"],
        seed=seed,
    )
    _show(results)
    say(f"The page with pictures: {page}")
    echo("\nNext:")
    for line in _next_steps(out):
        echo(f"  · {line}")
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
        echo("  · Install the service: `pip install 'rankfield[serve]'`")
    echo(f"\n{_PAGE}:\n\n  {_serve(out)}")


def _shop(out: Path, documents: int, queries: int, seed: int) -> RankingDataset:
    from rankfield.curation import leak_report, split
    from rankfield.schema import RankingDataset
    from rankfield.synthetic import sample_shop

    if (out / "data").exists():
        return RankingDataset.load(out / "data")
    if not (out / "shop").exists():
        sample_shop(out / "shop", documents=documents, queries=queries, seed=seed)
    data = split(RankingDataset.load(out / "shop"), seed=seed).save(out / "data")
    console().print(leak_report(data))
    return data


def _described(recipe: Recipe) -> str:
    return f"target {recipe.loss.target}, weight {recipe.loss.weight}"


def _recipe(label: str, data: RankingDataset, steps: int | None, seed: int) -> Recipe:
    from rankfield.training import load_recipe
    from rankfield.training.methods import fitted_rate, fitted_settings

    overrides = [f"name={label}", f"seed={seed}"]
    method = RUNS[label]
    fitted = [*fitted_settings(method, data).items(), *fitted_rate(method).items()]
    for section, values in fitted:
        overrides += [f"{section}.{key}={json.dumps(value)}" for key, value in values.items()]
    if steps is not None:
        overrides.append(f"optimizer.steps={steps}")
    return load_recipe(Path(__file__).with_name("demo.toml"), overrides)


def _train_and_evaluate(recipe: Recipe, data: RankingDataset, folder: Path, label: str) -> Results:
    from rankfield.evaluation import EvaluationOptions, Results, evaluate
    from rankfield.training.unfinished import begin_or_resume

    done = folder / "results.json"
    if done.exists():
        return Results.load(done)
    model = begin_or_resume(recipe, data, folder)
    results = evaluate(model, data, EvaluationOptions(label=label))
    results.save(done)
    return results


def _index(data: RankingDataset, out: Path) -> None:
    """Index the documents with each model; an index that is up to date stays."""
    from rankfield.index import build_index

    for label in RUNS:
        name = label.lower()
        build_index(out / name / "model", data, out / "index" / name)


def _show(results: list[Results]) -> None:
    from rankfield.cli.compare import legend, show
    from rankfield.evaluation import compare

    comparison = compare(results, metrics=["nDCG@10"])
    show(comparison, "nDCG@10")
    echo(legend(comparison))


def _next_steps(out: Path) -> list[str]:
    run, place = program(), shlex.quote(str(out))
    return [
        "CLIP and GCL draw judged pairs at random here, as published, and part of Ranked's lead is "
        f"its batches'. To give them others: `{run} train {place}/gcl/recipe.toml --set "
        f"data.dataset={place}/data --set batch.choice=score --out runs/gcl-by-score`",
        f'Search it: `{run} search {place}/index/ranked "red striped mug"`',
        f"See every metric: `{run} compare {place}/clip/results.json {place}/ranked/results.json`",
        f"Bring your own tables: `{run} import tables FOLDER my-data`, then "
        f"`{run} check my-data` and `{run} split my-data my-split`",
        f"Train on them: `{run} recipe my-split > my.toml` and "
        f"`{run} train my.toml --out runs/mine`",
    ]


def _serve(out: Path) -> str:
    """Return the command that opens the search page on all three models, the best first."""
    place = shlex.quote(str(out))
    indexes = " ".join(f"{place}/index/{label.lower()}" for label in reversed(RUNS))
    return f"{program()} serve {indexes} --data {place}/feedback --open"
