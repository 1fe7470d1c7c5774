"""`rankfield import elasticsearch`: a judgment list of a search engine becomes a data set."""

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
            help="Judgment list: _rank_eval request, OpenSearch list, or text with qid:.",
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
    """Make a data set from a judgment list and a table of the documents it rates.

    The list is the body of a _rank_eval request, a list of OpenSearch's Search Relevance Workbench,
    or text of the Learning to Rank plugins; its content says which. Nothing is written unless all
    is well. With --judgments-only, OUT is a table of the judgments, for metrics and training.

    Example: rankfield import elasticsearch rank_eval.json shop --documents products.jsonl
    """
    from rankfield.formats import read_elasticsearch
    from rankfield.formats.judgment_lists.elasticsearch import listed_tables

    options.require_new(out)
    options.check_judgments_only(judgments_only, documents, dataset)
    if judgments_only:
        options.save_judgments(out, dataset, unknown, duplicates, lambda n: listed_tables(src, n))
        return
    made, notes = read_elasticsearch(
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
