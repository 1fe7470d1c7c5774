"""Quepid's judgments: CSV with query, docid and rating, a row for each rated document.

The text of a query is its key; a rating that is empty is none. https://quepid.com
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import polars as pl

from rankfield.column_names import find_column, normalised_name, quoted_names
from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.files import new_file
from rankfield.formats.assemble import DatasetOptions
from rankfield.formats.exports import lost_columns, query_texts
from rankfield.formats.judgment_lists.documents import read_list
from rankfield.formats.layout import LIST_OPTIONS, Layout
from rankfield.io.delimited import read_header
from rankfield.io.numbers import finite_numbers, number_texts
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.io.text import table_suffix
from rankfield.outputs import require_new
from rankfield.schema import RankingDataset

__all__ = ["LAYOUT", "looks_like_quepid", "quepid_tables", "read_quepid", "write_quepid"]

_QUERY = ("query", "query_text")
_DOCUMENT = ("docid", "doc_id")
_RATING = ("rating",)


def read_quepid(
    src: str | Path, *, documents: str | Path | None = None, **options: Unpack[DatasetOptions]
) -> tuple[RankingDataset, list[str]]:
    """Read Quepid's CSV and the documents that it rates; write nothing.

    Equal texts are one query, q1, q2 … in order.

    Args:
        src: the file.
        documents: as of `elasticsearch.read_elasticsearch`; the list itself holds no texts.
        options: see `DatasetOptions`.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a file is missing or broken, or there are no documents; with file and row.
    """
    return read_list("quepid", quepid_tables, src, documents, options)


def quepid_tables(path: Path, notes: list[str]) -> tuple[pl.DataFrame, Table, bool]:
    """Return the queries and judgments of a file, and that it has no ids of queries.

    Raises:
        DataError: a missing column, a row without query or document, a rating that is no number.
    """
    table = read_table(path)
    names = {}
    for standard, known in (("query", _QUERY), ("doc_id", _DOCUMENT), ("score", _RATING)):
        found = find_column(table.columns, known, where=str(path))
        if found is None:
            raise DataError(
                f"expected a column {known[0]!r}, found {quoted_names(table.columns)}",
                where=str(path),
                remedy="Quepid's judgments have the columns query, docid and rating.",
            )
        names[found] = standard
    table = table.with_frame(table.frame.select(list(names)).rename(names))
    for name in ("query", "doc_id"):
        bad = table.frame.select(is_absent(name, pl.String()))[name]
        table.refuse(name, bad, "expected a value, found nothing", "Fill it in, or remove the row.")
    rated = ~table.frame.select(is_absent("score", pl.String()))["score"]
    if gone := int((~rated).sum()):
        notes.append(f"judgments: {gone:,} without a rating are left out")
    table = table.filter(rated)
    if table.frame.is_empty():
        raise DataError(
            "expected at least one rating, found none",
            where=str(path),
            remedy="Name a file that holds ratings.",
        )
    texts = table.frame.select(pl.col("query").unique(maintain_order=True))
    queries = texts.select(
        pl.format("q{}", pl.int_range(1, pl.len() + 1)).alias("query_id"), "query"
    )
    scored = table.frame.with_columns(finite_numbers(table, "score"))
    scored = scored.join(queries, on="query", how="left", maintain_order="left")
    judgments = table.with_frame(scored.select("query_id", "doc_id", "score"))
    return queries, judgments, True


def write_quepid(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write the judgments as Quepid's CSV, a new file, whole or not at all.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: two judged queries of one text, or a query without text.
        OutputError: `out` exists or cannot be written.
    """
    path = Path(out)
    require_new(path)
    notes: list[str] = []
    texts = dataset.queries.select("query_id", query=query_texts(dataset, "quepid", notes))
    judged = texts.join(dataset.judgments.select("query_id"), on="query_id", how="semi")
    twice = judged["query"].is_duplicated()
    if twice.any():
        raise DataError(
            f"two queries have the text {judged['query'][int(twice.arg_max() or 0)]!r}",
            where="queries",
            remedy="Merge them with `rankfield dedupe`, or export to a layout with ids.",
        )
    lost_columns(dataset, {"judgments": ["query_id", "doc_id", "score"]}, notes)
    notes.append("queries: the layout has no ids, the texts tell them apart")
    notes.append("documents: not part of this layout; export them with `rankfield export tables`")
    rows = dataset.judgments.select("query_id", "doc_id", "score")
    rows = rows.join(texts, on="query_id", how="left", maintain_order="left")
    shown = rows.select("query", docid="doc_id", rating=number_texts("score"))
    with new_file(path) as temporary:
        shown.write_csv(temporary)
    return notes


def looks_like_quepid(src: Path) -> str | None:
    """Return why a file looks like Quepid's CSV, or None."""
    if not src.is_file() or table_suffix(src) != ".csv":
        return None
    try:
        names = set(map(normalised_name, read_header(src)))
    except DataError:
        return None
    if "query" in names and names & {"docid", "doc_id"} and "rating" in names:
        return "it is CSV with the columns query, docid and rating"
    return None


LAYOUT = Layout(
    name="quepid",
    description="Quepid's judgments in CSV, and a table of documents",
    signs="a .csv file with the columns query, docid and rating",
    example="rankfield import quepid ratings.csv shop --documents products.jsonl",
    source="Judgments: CSV with the columns query, docid and rating.",
    help="""
    Make a data set from Quepid's judgments and a table of the documents they rate.

    Rows without a rating are left out. Nothing is written unless all is well. With
    --judgments-only, OUT is a table of the judgments, for metrics and training.

    Example: rankfield import quepid ratings.csv shop --documents products.jsonl
    """,
    read=read_quepid,
    write=write_quepid,
    looks_like=looks_like_quepid,
    options=LIST_OPTIONS,
    judgments=quepid_tables,
)
