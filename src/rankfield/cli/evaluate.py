"""`rankfield evaluate`: how well a model ranks, on each split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.errors import InputError

if TYPE_CHECKING:
    from rankfield.evaluation import Results
    from rankfield.schema import RankingDataset

__all__ = ["command"]

BAG_OF_WORDS = "bag-of-words"


def command(
    model: Annotated[
        str,
        typer.Argument(
            help=f"Model folder, or the word {BAG_OF_WORDS} for the BM25 baseline.",
            show_default=False,
        ),
    ],
    dataset: Annotated[Path, typer.Argument(help="Data set folder.", show_default=False)],
    *,
    split: Annotated[
        str,
        typer.Option(
            help="in_domain, novel_query, novel_document, zero_shot, or all of them.",
        ),
    ] = "all",
    subset: Annotated[str, typer.Option(help="Queries to evaluate: dev, test, or all.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write results.json, and its two tables beside it."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Runs of one label are averaged by `rankfield compare`.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where to compute, as torch names it; default: a GPU if there is one."),
    ] = None,
    dimension: Annotated[
        int | None,
        typer.Option(min=1, help="Cut the embeddings to this many dimensions; default: all."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="By whose rules: rankfield; marqo-gs, the published evaluation of GCL; beir."
        ),
    ] = "rankfield",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Measure how well a model ranks, by exact search over the whole corpus of each split.

    Scores stay floats; an unjudged document counts 0; a query without anything relevant is left
    out of the means that need one. All metrics are in the results file, the table shows the main
    ones.

    Example: rankfield evaluate runs/gcl/model shop-split --out gcl.json
    """
    from rankfield.evaluation import Results, protocol_named
    from rankfield.schema import RankingDataset
    from rankfield.validate import require_valid

    if out is not None and not overwrite:
        Results.require_new(out)
    if subset not in ("dev", "test", "all"):
        raise InputError(f"expected dev, test or all, found {subset!r}", where="--subset")
    protocol_named(protocol)
    data = RankingDataset.load(dataset)
    require_valid(data)
    results = _evaluate(
        model,
        data,
        splits=None if split == "all" else [split],
        subset=None if subset == "all" else subset,
        label=label,
        device=device,
        dimension=dimension,
        protocol=protocol,
    )
    if out is not None:
        results.save(out, overwrite=overwrite)
    _show(results)
    if out is not None:
        typer.echo(f"All metrics, each query and its best documents: {out}")


def _evaluate(
    model: str,
    data: RankingDataset,
    *,
    splits: Sequence[str] | None,
    subset: str | None,
    label: str | None,
    device: str | None,
    dimension: int | None,
    protocol: str,
) -> Results:
    from rankfield.evaluation import evaluate, evaluate_baseline

    if model == BAG_OF_WORDS:
        if dimension is not None:
            raise InputError("bag-of-words has no embeddings to cut", where="--dimension")
        return evaluate_baseline(
            "bm25", data, splits=splits, subset=subset, label=label, protocol=protocol
        )
    from rankfield.cli.device import chosen_device
    from rankfield.encoders.model import RankingModel

    device = chosen_device(device)
    loaded = RankingModel.load(Path(model)).to(device)
    if dimension is not None:
        loaded.truncate_to(dimension)
    return evaluate(
        loaded,
        data,
        splits=splits,
        subset=subset,
        label=label,
        device=device,
        protocol=protocol,
    )


def _show(results: Results) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from rankfield.evaluation import protocol_named

    columns = protocol_named(results.protocol).main
    title = f"{results.model} on {results.dataset.name}, {results.subset} queries"
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("split", no_wrap=True)
    for name in ("queries", *columns):
        table.add_column(name.replace("@", "\n@"), justify="right", no_wrap=True)
    for split, means in results.splits.items():
        values = [means[name].value for name in columns]
        table.add_row(
            split,
            f"{results.sizes[split].queries:,}",
            *("–" if value is None else f"{value:.3f}" for value in values),
        )
    Console().print(table)
    if results.protocol != "rankfield":
        typer.echo(f"By the rules of {results.protocol}: see docs/metrics.md.")
        return
    for split, means in results.splits.items():
        undefined = results.sizes[split].queries - means["mAP@1000"].queries
        if undefined:
            typer.echo(
                f"{split}: {undefined} queries have no relevant document; mAP and R leave them out."
            )
