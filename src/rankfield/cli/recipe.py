"""`rankfield recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="The data set to train on.")],
    method: Annotated[
        str,
        typer.Option(
            help="ranked (the default), gcl (the paper's loss) or clip (all pairs alike)."
        ),
    ] = "ranked",
    loss_weight: Annotated[
        str | None, typer.Option("--weight", help="Score → weight, in place of the method's own.")
    ] = None,
) -> None:
    """Print a commented recipe for a data set.

    Example: rankfield recipe shop-split > ranked.toml
    """
    from rankfield.schema import RankingDataset
    from rankfield.training.template import recipe_text

    text = recipe_text(RankingDataset.load(dataset), method=method, weight=loss_weight)
    typer.echo(text, nl=False)
