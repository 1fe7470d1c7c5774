"""`rankfield recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli.options import AllowCode
from rankfield.cli.program import program
from rankfield.outputs import require_new
from rankfield.terminal import echo, printable_values

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
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it into this new file, as UTF-8.")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Print a commented recipe for a data set, or write it into a file.

    With --out nothing is left behind if the data set cannot be read.

    Example: rankfield recipe shop-split --out ranked.toml
    """
    from rankfield.files import new_file
    from rankfield.schema import RankingDataset
    from rankfield.training.template import recipe_text

    require_new(out)
    data = RankingDataset.load(dataset)
    text = recipe_text(data, method=method, weight=loss_weight, allow_code=allow_code)
    if out is None:
        echo(printable_values(text, "toml"), nl=False)
        return
    with new_file(out) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")
    echo(f"{out}: train with {program()} train {out} --out RUN")
