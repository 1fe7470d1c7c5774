"""`rankfield import tables`: a folder of plain tables becomes a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli import import_options as options
from rankfield.engines import EngineName

__all__ = ["command"]

_FIELD = "NAME[:MODALITY[:WEIGHT]]"


def command(
    src: Annotated[
        Path,
        typer.Argument(
            help="Folder with documents, queries and judgments as .csv, .tsv, .jsonl or .parquet;"
            " the paths of pictures start here.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Data set folder to make.", show_default=False)],
    *,
    query_id: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column with the query's id.")
    ] = "query_id",
    doc_id: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column with the document's id.")
    ] = "doc_id",
    score: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column with the score; larger is better.")
    ] = "score",
    query_field: Annotated[
        list[str] | None,
        typer.Option(metavar=_FIELD, help="A field of the queries; repeat. Guessed if left out."),
    ] = None,
    document_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_FIELD,
            help="A field of the documents, as photo:image:0.9, or photos:images for paths with"
            ' "|" between them; repeat. Guessed if left out.',
        ),
    ] = None,
    score_min: options.ScoreMin = None,
    score_max: options.ScoreMax = None,
    relevant: options.Relevant = None,
    queries: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The queries, if not SRC/queries.*")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The documents, if not SRC/documents.*")
    ] = None,
    judgments: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The judgments, if not SRC/judgments.*")
    ] = None,
    name: options.Name = None,
    licence: options.Licence = "",
    bad_images: options.BadImages = "error",
    engine: Annotated[
        EngineName,
        typer.Option(help="Check pictures on this machine's cores, or on Ray's: same result."),
    ] = "local",
) -> None:
    """Make a data set from tables of documents, queries and judgments, and say what was guessed.

    Every value and every picture is checked first; nothing is written unless all is well. A text
    file must be UTF-8 with a header (JSON Lines: one object a line).

    Example: rankfield import tables shop-export shop --document-field title:text:0.1
    --document-field photo:image:0.9 --relevant 2
    """
    from rankfield.engines import make_engine
    from rankfield.formats.tables.reading import import_folder

    dataset, notes = import_folder(
        src,
        out,
        engine=make_engine(engine),
        name=name,
        query_id=query_id,
        doc_id=doc_id,
        score=score,
        query_fields=query_field,
        document_fields=document_field,
        score_min=score_min,
        score_max=score_max,
        relevant=relevant,
        licence=licence,
        queries_file=queries,
        documents_file=documents,
        judgments_file=judgments,
        bad_images=bad_images,
    )
    options.report(dataset, notes, out)
