"""`rankfield sample`: make the sample shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.terminal import cell, console, echo

if TYPE_CHECKING:
    from rankfield.schema import RankingDataset

__all__ = ["command"]

_EXAMPLES = 3
_TITLES = 3


def command(  # noqa: PLR0917  typer reads options from the signature
    out: Annotated[Path, typer.Argument(help="Folder to make; must not exist yet.")],
    documents: Annotated[int, typer.Option(help="Number of products.", min=1)] = 5000,
    queries: Annotated[int, typer.Option(help="Number of queries.", min=1)] = 1000,
    per_query: Annotated[int, typer.Option(help="Length of each ranked list.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed makes the same shop.", min=0)] = 0,
    images: Annotated[bool, typer.Option(help="Draw an image of each product.")] = True,
    image_size: Annotated[
        int, typer.Option(help="Width and height of the images in pixels.", min=16, max=1024)
    ] = 96,
    workers: Annotated[
        int | None, typer.Option(help="Processes that draw; one for each core if left out.", min=1)
    ] = None,
    popularity: Annotated[
        float, typer.Option(help="Weight of popularity, which no field shows.", min=0)
    ] = 1.1,
    noise: Annotated[
        float, typer.Option(help="Weight of chance in the ranked lists.", min=0)
    ] = 0.45,
) -> None:
    """Make a sample shop: product images, titles, queries, and a ranked list for each query.

    The ranked lists follow a hidden relevance of the products' attributes and popularity. Titles
    leave some attributes to the image, and the image leaves others to the title.

    Example: rankfield sample shop --documents 5000 --queries 1000 --seed 0
    """
    from rankfield.synthetic.sample import sample_shop

    dataset = sample_shop(
        out,
        documents=documents,
        queries=queries,
        per_query=per_query,
        seed=seed,
        images=images,
        image_size=image_size,
        workers=workers,
        popularity=popularity,
        noise=noise,
    )
    _summarise(dataset, out)


def _summarise(dataset: RankingDataset, out: Path) -> None:
    import polars as pl
    from rich.table import Table

    echo(
        f"{out}: {dataset.documents.height:,} products, {dataset.queries.height:,} queries, "
        f"{dataset.judgments.height:,} judgments"
    )
    best = (
        dataset.judgments.filter(pl.col("position") <= _TITLES)
        .join(dataset.queries.head(_EXAMPLES), on="query_id")
        .join(dataset.documents.select("doc_id", "title"), on="doc_id")
        .sort("query_id", "position")
    )
    table = Table("query", "score", "title")
    for row in best.iter_rows(named=True):
        query = row["query"] if row["position"] == 1 else ""
        table.add_row(
            cell(query),
            f"{row['score']:g}",
            cell(row["title"]),
            end_section=row["position"] == _TITLES,
        )
    console().print(table)
