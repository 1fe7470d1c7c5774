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
_COLUMNS = ("ndcg@10", "err@10", "mrr@10", "map@1000", "recall@100", "judged@10")


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
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the embeddings: the same model and data are embedded once, and "
            "an interrupted run goes on where it stopped."
        ),
    ] = None,
    memory: Annotated[
        int,
        typer.Option(min=1, help="MiB that the search may use beside the embeddings."),
    ] = 256,
    precision: Annotated[
        str,
        typer.Option(
            help="How the search multiplies: auto, float32 or bfloat16; the result is the same."
        ),
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Measure how well a model ranks, by exact search over the whole corpus of each split.

    Scores stay floats; an unjudged document counts 0; a query without anything relevant is left
    out of the means that need one. All metrics are in the results file, the table shows the main
    ones.

    Example: rankfield evaluate runs/gcl/model shop-split --out gcl.json

    Example: rankfield evaluate runs/gcl/model shop-split --cache embeddings --memory 1024
    """
    from rankfield.evaluation import Results
    from rankfield.schema import RankingDataset
    from rankfield.validate import require_valid

    if out is not None and not overwrite:
        Results.require_new(out)
    if subset not in ("dev", "test", "all"):
        raise InputError(f"expected dev, test or all, found {subset!r}", where="--subset")
    if precision not in ("auto", "float32", "bfloat16"):
        raise InputError(
            f"expected auto, float32 or bfloat16, found {precision!r}", where="--precision"
        )
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
        cache=cache,
        memory=memory,
        precision=precision,
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
    cache: Path | None,
    memory: int,
    precision: str,
) -> Results:
    from rankfield.evaluation import BagOfWords, CachedEmbedder, evaluate

    if model == BAG_OF_WORDS:
        if dimension is not None:
            raise InputError("bag-of-words has no embeddings to cut", where="--dimension")
        if cache is not None:
            raise InputError("bag-of-words has no embeddings to keep", where="--cache")
        return BagOfWords().evaluate(data, splits=splits, subset=subset, label=label)
    from rankfield.cli.device import chosen_device
    from rankfield.encoders.fingerprint import model_fingerprint
    from rankfield.encoders.model import RankingModel

    device = chosen_device(device)
    loaded = RankingModel.load(Path(model)).to(device)
    if dimension is not None:
        loaded.truncate_to(dimension)
    embedder: RankingModel | CachedEmbedder = loaded
    if cache is not None:
        embedder = CachedEmbedder(loaded, model_fingerprint(model), cache)
    return evaluate(
        embedder,
        data,
        splits=splits,
        subset=subset,
        label=label,
        device=device,
        memory_mib=memory,
        precision=precision,
    )


def _show(results: Results) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    title = f"{results.model} on {results.dataset.name}, {results.subset} queries"
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column("split", no_wrap=True)
    for name in ("queries", *_COLUMNS):
        table.add_column(name.replace("@", "\n@"), justify="right", no_wrap=True)
    for split, means in results.splits.items():
        values = [means[name].value for name in _COLUMNS]
        table.add_row(
            split,
            f"{results.sizes[split].queries:,}",
            *("–" if value is None else f"{value:.3f}" for value in values),
        )
    Console().print(table)
    for split, means in results.splits.items():
        undefined = results.sizes[split].queries - means["map@1000"].queries
        if undefined:
            typer.echo(
                f"{split}: {undefined} queries have no relevant document; "
                "map and recall leave them out."
            )
