"""`rankfield recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.options import AllowCode
from rankfield.cli.program import program
from rankfield.outputs import require_new
from rankfield.terminal import echo, one_line, printable_values

if TYPE_CHECKING:
    from rankfield.training.translation import Translation

__all__ = ["command"]


def command(
    dataset: Annotated[Path, typer.Argument(help="The data set to train on.")],
    *,
    method: Annotated[
        str,
        typer.Option(
            help="ranked (the default), gcl (the paper's loss) or clip (all pairs alike)."
        ),
    ] = "ranked",
    loss_weight: Annotated[
        str | None, typer.Option("--weight", help="Score → weight, in place of the method's own.")
    ] = None,
    marqtune: Annotated[
        Path | None,
        typer.Option(
            "--from-marqtune",
            metavar="FILE",
            help="Take over Marqtune's parameters, a JSON object.",
            show_default=False,
        ),
    ] = None,
    sentence_transformers: Annotated[
        Path | None,
        typer.Option(
            "--from-sentence-transformers",
            metavar="FILE",
            help="Take over the arguments of its trainer, a JSON object.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it into this new file, as UTF-8.")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Print a commented recipe for a data set, or write it into a file.

    With --out nothing is left behind if the data set cannot be read. Parameters of another trainer
    that have no counterpart here are named, on standard error and in the recipe's comments.

    Example: rankfield recipe shop-split --out ranked.toml
    """
    from rankfield.files import new_file
    from rankfield.schema import RankingDataset
    from rankfield.training.template import recipe_text

    require_new(out)
    data = RankingDataset.load(dataset)
    translation = _translation(marqtune, sentence_transformers)
    text = recipe_text(
        data,
        method=method,
        weight=loss_weight,
        translation=translation,
        allow_code=allow_code,
    )
    for note in translation.notes if translation else ():
        echo(f"note: {one_line(note)}", err=True)
    if out is None:
        echo(printable_values(text, "toml"), nl=False)
        return
    with new_file(out) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")
    echo(f"{out}: train with {program()} train {out} --out RUN")


def _translation(marqtune: Path | None, trainer: Path | None) -> Translation | None:
    from rankfield.errors import InputError
    from rankfield.training.marqtune import from_marqtune
    from rankfield.training.trainer_arguments import from_sentence_transformers

    if marqtune is not None and trainer is not None:
        raise InputError(
            "the parameters of two trainers",
            where="--from-marqtune, --from-sentence-transformers",
            remedy="Give one.",
        )
    if marqtune is not None:
        return from_marqtune(marqtune)
    return None if trainer is None else from_sentence_transformers(trainer)
