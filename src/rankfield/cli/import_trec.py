"""`rankfield import trec`: a TREC collection becomes a data set."""

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
            help="Folder with qrels, topics and documents.",
            show_default=False,
        ),
    ],
    out: options.Out,
    *,
    qrels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The judgments, if not SRC/qrels*.")
    ] = None,
    topics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The queries, if not SRC/topics*, queries*.")
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The documents, if not SRC/documents*, docs*, corpus*, collection*.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take ranks of this run as judgments: score = depth + 1 - rank."
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Leave out ranks below; default: the largest.")
    ] = None,
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
    """Make a data set from qrels or a run, topics and documents.

    Topics: TSV (id, text), <top> records, XML (<topic number="1">), or a table with a header.
    Documents: JSON Lines, TSV, <DOC> records, or a table with a header. Nothing is written unless
    all is well.

    Example: rankfield import trec robust robust-data --topics topics.301-450.txt
    """
    from rankfield.formats import read_trec

    options.require_new(out)
    dataset, notes = read_trec(
        src,
        qrels=qrels,
        topics=topics,
        documents=documents,
        run=run,
        depth=depth,
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
