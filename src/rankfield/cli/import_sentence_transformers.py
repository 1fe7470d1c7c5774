"""`rankfield import sentence-transformers`: pairs, triplets or lists become a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli import import_options as options

__all__ = ["command"]


def command(
    src: Annotated[
        Path,
        typer.Argument(help="File, or folder with train, dev and test files.", show_default=False),
    ],
    out: options.Out,
    *,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Query, document, negatives, in this order; repeat. Default: all but the label.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column with the score; default: label, labels, score or scores."
        ),
    ] = None,
    score_min: options.ScoreMin = None,
    score_max: Annotated[
        float | None,
        typer.Option(help="Highest score possible; default: 1, or the data's if one is above."),
    ] = None,
    relevant: Annotated[
        float | None,
        typer.Option(
            help="Scores from here on are relevant; default: 1 of pairs and triplets, the middle of"
            " the scale of labels."
        ),
    ] = None,
    held_out: options.HeldOut = None,
    bad_images: options.BadImages = "error",
    name: options.Name = None,
    licence: options.LicenceOf = None,
) -> None:
    """Make a data set from pairs, triplets, n-tuples, scored pairs or labelled lists.

    Nothing is written unless all is well.

    Example: rankfield import sentence-transformers triplets.parquet triplets --column anchor
    --column positive --column negative
    """
    from rankfield.formats.sentence_transformers.reading import read_sentence_transformers

    options.require_new(out)
    chosen = options.given(
        columns=column,
        label=label,
        score_min=score_min,
        score_max=score_max,
        relevant=relevant,
        held_out=held_out,
        bad_images=bad_images,
        name=name,
        licence=licence,
    )
    dataset, notes = read_sentence_transformers(src, **chosen)
    options.save(dataset, notes, out)
