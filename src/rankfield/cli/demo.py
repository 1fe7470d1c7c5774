"""`rankfield demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.schema import RankingDataset
    from rankfield.training import Recipe

__all__ = ["command"]

LABELS = {"constant": "CLIP", "inverse": "GCL"}
"""Weight function → what it is called on the page."""


def command(
    out: Annotated[Path, typer.Argument(help="New folder for the data, both models, the page.")],
    documents: Annotated[int, typer.Option(min=200, help="Products in the sample shop.")] = 3000,
    queries: Annotated[int, typer.Option(min=50, help="Queries of the sample shop.")] = 1000,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of each model.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shop, the split and the training.")] = 0,
) -> None:
    """Make a sample shop, train a model the CLIP way and with GCL, and compare them on a page.

    Example: rankfield demo demo-out

    Takes some minutes on two cores and needs no network.
    """
    from rich.console import Console

    from rankfield.curation import leak_report, sample_shop, split
    from rankfield.errors import OutputError
    from rankfield.report import write_report

    if out.exists():
        raise OutputError("exists already", where=str(out), remedy="Name another folder.")
    started = time.monotonic()

    def say(text: str) -> None:
        typer.echo(f"[{time.monotonic() - started:4.0f} s] {text}")

    say(f"Sample shop: {documents:,} products with photos, {queries:,} queries")
    shop = sample_shop(out / "shop", documents=documents, queries=queries, seed=seed)
    say("Splits: seen and unseen queries × seen and unseen documents")
    data = split(shop, seed=seed).save(out / "data")
    Console().print(leak_report(data))

    results = []
    for weight, label in LABELS.items():
        recipe = _recipe(label, weight, steps, seed)
        say(f"Train {label}: weight {weight}, {recipe.optimizer.steps} steps")
        results.append(_train_and_evaluate(recipe, data, out / label.lower(), label))
    logs = {label: out / label.lower() / "log.jsonl" for label in LABELS.values()}
    page = out / "report.html"
    write_report(
        page,
        dataset=data,
        results=results,
        training_logs=logs,
        title="GCL against CLIP on the sample shop",
        next_steps=_next_steps(out),
        seed=seed,
    )
    _show(results)
    say(f"The page with pictures: {page}")
    typer.echo("\nNext:")
    for line in _next_steps(out):
        typer.echo(f"  · {line}")


def _recipe(label: str, weight: str, steps: int | None, seed: int) -> Recipe:
    from rankfield.training import load_recipe

    overrides = [f"loss.weight={weight}", f"name={label}", f"seed={seed}"]
    if steps is not None:
        overrides.append(f"optimizer.steps={steps}")
    return load_recipe(Path(__file__).with_name("demo.toml"), overrides)


def _train_and_evaluate(recipe: Recipe, data: RankingDataset, folder: Path, label: str) -> Results:
    from rankfield.evaluation import evaluate
    from rankfield.training import train

    results = evaluate(train(recipe, data, folder), data, label=label)
    results.save(folder / "results.json")
    return results


def _show(results: list[Results]) -> None:
    from rankfield.cli.compare import show
    from rankfield.evaluation import compare

    show(compare(results, metrics=["ndcg@10"]), "ndcg@10")


def _next_steps(out: Path) -> list[str]:
    return [
        f'Search it: `rankfield search {out}/gcl/model {out}/shop "red striped mug"`',
        f"See every metric: `rankfield compare {out}/clip/results.json {out}/gcl/results.json`",
        "Bring your own tables: `rankfield import tables FOLDER my-data`, then "
        "`rankfield check my-data` and `rankfield split my-data my-split`",
        "Train on them: `rankfield recipe my-split > my.toml` and "
        "`rankfield train my.toml --out runs/mine`",
    ]
