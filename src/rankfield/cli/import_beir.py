"""`rankfield import beir`: a BEIR folder becomes a data set."""

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
            help="Folder with corpus.jsonl, queries.jsonl and qrels/.",
            show_default=False,
        ),
    ],
    out: options.Out,
    *,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A file of qrels/ to read, as test; repeat. Default: all."
        ),
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
    """Make a data set from a BEIR folder; its dev and test queries stay such.

    `rankfield evaluate` measures on the queries of qrels/test.tsv, as BEIR does, until
    `rankfield split` divides anew. Nothing is written unless all is well.

    Example: rankfield import beir scifact scifact-data --subset test
    """
    from rankfield.formats import read_beir

    options.require_new(out)
    dataset, notes = read_beir(
        src,
        subsets=subset,
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
