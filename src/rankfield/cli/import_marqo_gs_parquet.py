"""`rankfield import marqo-gs-parquet`: Marqo-GS's Hugging Face Parquet form becomes a data set."""

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
            help="Folder with the Parquet files of in_domain and others.", show_default=False
        ),
    ],
    out: options.Out,
    *,
    score: options.PublishedScore = None,
    document_field: options.DocumentField = None,
    dev: Annotated[
        float, typer.Option(help="Fraction of the queries in dev, if no ground truth says.")
    ] = 0.5,
    bad_images: options.BadImages = "error",
    name: options.Name = None,
    licence: options.LicenceOf = None,
) -> None:
    """Make a data set from Marqo-GS as published on the Hugging Face Hub, with its splits.

    Pictures stay bytes; `--document-field title:text` leaves them out. Nothing is written unless
    all is well.

    Example: rankfield import marqo-gs-parquet marqo-GS-10M gs --document-field title:text
    """
    from rankfield.formats.marqo_gs.parquet import read_marqo_gs_parquet

    options.require_new(out)
    chosen = options.given(
        score=score,
        document_fields=document_field,
        dev=dev,
        bad_images=bad_images,
        name=name,
        licence=licence,
    )
    dataset, notes = read_marqo_gs_parquet(src, **chosen)
    options.save(dataset, notes, out)
