"""`rankfield import huggingface`: a folder of the library datasets becomes a data set."""

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
            help="Folder saved by datasets, or laid out as on the Hub.", show_default=False
        ),
    ],
    out: options.Out,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with the query's text, of pairs; default: query, question, ….",
        ),
    ] = None,
    query_id: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with the query's id.")
    ] = None,
    doc_id: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with the document's id.")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with the score; larger is better.")
    ] = None,
    query_field: options.QueryField = None,
    document_field: options.DocumentField = None,
    score_min: options.ScoreMin = None,
    score_max: options.ScoreMax = None,
    relevant: options.Relevant = None,
    held_out: options.HeldOut = None,
    bad_images: options.BadImages = "error",
    name: options.Name = None,
    licence: options.LicenceOf = None,
) -> None:
    """Make a data set from queries, documents and judgments, or from pairs, as datasets saves them.

    Nothing is written unless all is well.

    Example: rankfield import huggingface shop-hub shop --query question --score label
    """
    from rankfield.formats.hugging_face.layout import read_hugging_face

    options.require_new(out)
    chosen = options.given(
        query=query,
        query_id=query_id,
        doc_id=doc_id,
        score=score,
        query_fields=query_field,
        document_fields=document_field,
        score_min=score_min,
        score_max=score_max,
        relevant=relevant,
        held_out=held_out,
        bad_images=bad_images,
        name=name,
        licence=licence,
    )
    dataset, notes = read_hugging_face(src, **chosen)
    options.save(dataset, notes, out)
