"""`rankfield import marqo-gs`: Marqo-GS's archive becomes a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli import import_options as options

__all__ = ["command"]


def command(
    src: Annotated[
        Path,
        typer.Argument(
            help="Folder with corpus_1.json and query_…_product_id_….csv.", show_default=False
        ),
    ],
    out: options.Out,
    *,
    score: options.PublishedScore = None,
    document_field: options.DocumentField = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder with the pictures, if not where the paths lead."
        ),
    ] = None,
    dev: Annotated[
        float, typer.Option(help="Fraction of the queries in dev, if no ground truth says.")
    ] = 0.5,
    bad_images: options.BadImages = "error",
    name: options.Name = None,
    licence: options.LicenceOf = None,
) -> None:
    """Make a data set from Marqo-GS's archive, with its published splits.

    Nothing is written unless all is well.

    Example: rankfield import marqo-gs marqo-gs-10m gs --score score_reciprocal --images images
    """
    from rankfield.formats.marqo_gs.archive import read_marqo_gs

    options.require_new(out)
    chosen = options.given(
        score=score,
        document_fields=document_field,
        images=images,
        dev=dev,
        bad_images=bad_images,
        name=name,
        licence=licence,
    )
    dataset, notes = read_marqo_gs(src, **chosen)
    options.save(dataset, notes, out)
