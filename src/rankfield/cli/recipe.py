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
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fine-tune this pretrained encoder (folder, hub id, package:NAME, hf-hub:ID), "
            "with rates and protection that suit it. Default: a small one from scratch.",
            show_default=False,
        ),
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

    Example: rankfield recipe shop-split --encoder google/siglip2-base-patch16-224
    """
    from rankfield.files import new_file
    from rankfield.schema import RankingDataset
    from rankfield.training.template import recipe_text

    require_new(out)
    data = RankingDataset.load(dataset)
    translation = _translation(marqtune, sentence_transformers, encoder)
    start = None
    if encoder is not None:
        from rankfield.training.pretrained_start import pretrained_start

        start = pretrained_start(encoder, data, allow_code=allow_code)
    text = recipe_text(
        data,
        method=method,
        weight=loss_weight,
        translation=translation,
        start=start,
        allow_code=allow_code,
    )
    found = [one for one in (start, translation) if one is not None]
    for note in (note for one in found for note in one.notes):
        echo(f"note: {one_line(note)}", err=True)
    if out is None:
        echo(printable_values(text, "toml"), nl=False)
        return
    with new_file(out) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")
    echo(f"{out}: train with {program()} train {out} --out RUN")


def _translation(
    marqtune: Path | None, trainer: Path | None, encoder: str | None
) -> Translation | None:
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
        found = from_marqtune(marqtune)
    elif trainer is not None:
        found = from_sentence_transformers(trainer)
    else:
        return None
    if encoder is not None and "encoder" in found.settings:
        raise InputError(
            f"the parameters of {found.source} name an encoder too",
            where="--encoder",
            remedy="Leave out one of both.",
        )
    return found
