"""`rankfield recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="The data set to train on.")],
    loss_weight: Annotated[
        str, typer.Option("--weight", help="Score → weight; constant is the CLIP way.")
    ] = "exponential",
) -> None:
    """Print a commented recipe for a data set.

    Example: rankfield recipe shop-split > gcl.toml
    """
    from rankfield.schema import RankingDataset
    from rankfield.training.template import recipe_text

    typer.echo(recipe_text(RankingDataset.load(dataset), weight=loss_weight), nl=False)
