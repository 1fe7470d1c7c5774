"""`rankfield import quepid`: ratings made in Quepid become a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rankfield.cli import import_options as options

__all__ = ["command"]


def command(
    src: Annotated[
        Path,
        typer.Argument(
            help="Judgments: CSV with the columns query, docid and rating.",
            show_default=False,
        ),
    ],
    out: options.Out,
    *,
    documents: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table of the documents, as .csv, .tsv, .jsonl or .parquet, with their id in _id,"
            " doc_id, docId, id or product_id; exports of an index with _source too.",
        ),
    ] = None,
    query_field: options.QueryField = None,
    document_field: options.DocumentField = None,
    score_min: options.ScoreMin = None,
    score_max: options.ScoreMax = None,
    relevant: options.Relevant = None,
    judgments_only: options.JudgmentsOnly = False,
    dataset: options.OfDataset = None,
    unknown: options.Unknown = "error",
    duplicates: options.Duplicates = "error",
    name: options.Name = None,
    licence: options.Licence = "",
) -> None:
    """Make a data set from Quepid's judgments and a table of the documents they rate.

    Rows without a rating are left out. Nothing is written unless all is well. With
    --judgments-only, OUT is a table of the judgments, for metrics and training.

    Example: rankfield import quepid ratings.csv shop --documents products.jsonl
    """
    from rankfield.formats import read_quepid
    from rankfield.formats.judgment_lists.quepid import quepid_tables

    options.require_new(out)
    options.check_judgments_only(judgments_only, documents, dataset)
    if judgments_only:

        def tables(notes: list[str]) -> Any:
            queries, judgments = quepid_tables(src, notes)
            return queries.frame, judgments, True

        options.save_judgments(out, dataset, unknown, duplicates, tables)
        return
    made, notes = read_quepid(
        src,
        documents=documents,
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
    options.save(made, notes, out)
