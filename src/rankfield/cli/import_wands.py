"""`rankfield import wands`: Wayfair's WANDS becomes a data set."""

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
            help="Folder with query.csv, product.csv and label.csv, or its parent.",
            show_default=False,
        ),
    ],
    out: options.Out,
    *,
    grades: Annotated[
        str,
        typer.Option(metavar="LABEL=SCORE,…", help="What each label is worth."),
    ] = "Exact=2,Partial=1,Irrelevant=0",
    query_field: options.QueryField = None,
    document_field: options.DocumentField = None,
    score_min: options.ScoreMin = None,
    score_max: options.ScoreMax = None,
    relevant: options.Relevant = None,
    unknown: options.Unknown = "error",
    duplicates: options.Duplicates = "error",
    name: options.Name = None,
    licence: options.Licence = "",
) -> None:
    """Make a data set from WANDS' queries, products and labels.

    Fields: query; product_name and product_description. Every other column is kept. Nothing is
    written unless all is well.

    Example: rankfield import wands WANDS wands-data --grades Exact=1,Partial=0.5,Irrelevant=0
    """
    from rankfield.formats import read_wands
    from rankfield.formats.grades import parse_grades

    options.require_new(out)
    dataset, notes = read_wands(
        src,
        grades=parse_grades(grades),
        query_fields=query_field,
        document_fields=document_field,
        score_min=score_min,
        score_max=score_max,
        relevant=relevant,
        unknown=unknown,
        duplicates=duplicates,
        name=name,
        licence=licence,
    )
    options.save(dataset, notes, out)
