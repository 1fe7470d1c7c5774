"""`rankfield import esci`: Amazon's ESCI becomes a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rankfield.cli import import_options as options

__all__ = ["command"]


def command(
    src: Annotated[
        Path,
        typer.Argument(
            help="Folder with the two Parquet files, or its parent.", show_default=False
        ),
    ],
    out: options.Out,
    *,
    locale: Annotated[
        Literal["us", "es", "jp"] | None, typer.Option(help="One marketplace; default: all.")
    ] = None,
    version: Annotated[
        Literal["small", "large"],
        typer.Option(help="small leaves out easy queries, as the ranking task does."),
    ] = "large",
    grades: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL=SCORE,…", help="What each label is worth, as E=1,S=0.1,C=0.01,I=0."
        ),
    ] = None,
    relevant: Annotated[
        float | None,
        typer.Option(help="Scores from here on are relevant; default: that of E."),
    ] = None,
    document_field: options.DocumentField = None,
    judged_only: Annotated[
        bool, typer.Option("--judged-only", help="Leave out products that no example judges.")
    ] = False,
    held_out: options.HeldOut = None,
    name: options.Name = None,
    licence: options.LicenceOf = None,
) -> None:
    """Make a data set from Amazon's Shopping Queries (ESCI), with the published split by queries.

    Nothing is written unless all is well.

    Example: rankfield import esci shopping_queries_dataset esci --locale us --version small
    """
    from rankfield.formats.esci.reading import read_esci
    from rankfield.formats.grades import parse_grades

    options.require_new(out)
    chosen = options.given(
        locale=locale,
        version=version,
        grades=None if grades is None else parse_grades(grades),
        relevant=relevant,
        document_fields=document_field,
        judged_only=judged_only,
        held_out=held_out,
        name=name,
        licence=licence,
    )
    dataset, notes = read_esci(src, **chosen)
    options.save(dataset, notes, out)
