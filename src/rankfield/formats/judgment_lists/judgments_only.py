"""The judgments of a list alone, as a table: for metrics, and as further judgments in training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_file
from rankfield.formats.exports import query_texts
from rankfield.io.table import Table
from rankfield.messages import more
from rankfield.schema import RankingDataset

__all__ = ["ENDINGS", "judgments_alone", "require_judgment_name", "write_judgment_file"]

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
"""What the name of a file of judgments may end in."""
_PAIR = ["query_id", "doc_id"]


def judgments_alone(
    queries: pl.DataFrame,
    judgments: Table,
    notes: list[str],
    *,
    by_text: bool = False,
    dataset: RankingDataset | None = None,
    unknown: Literal["error", "drop"] = "error",
    duplicates: Literal["error", "first", "highest"] = "error",
) -> pl.DataFrame:
    """Return query_id, doc_id, score and query: the judgments of a list, without its documents.

    Args:
        queries: query_id, query.
        judgments: query_id, doc_id, score; errors name their places.
        notes: grows.
        by_text: the list has no ids of queries: their texts are the ids.
        dataset: whose ids the judgments get. A query is that of its id, or else of its text.
        unknown: at a query or document that the data set has not: stop, or leave it out.
        duplicates: at a pair judged twice: stop, or keep the first or the highest score.

    Raises:
        DataError: an unknown query or document, a text that several queries of the data set have,
            a pair judged twice, or nothing is left; with its place.
    """
    keys = queries.select("query_id", "query", key="query" if by_text else "query_id")
    frame = judgments.frame.select(*_PAIR, "score").with_row_index("\0row")
    frame = frame.join(keys, on="query_id", how="left", maintain_order="left")
    frame = frame.with_columns(query_id="key").drop("key")
    if dataset is not None:
        frame = _with_ids_of(frame, dataset, judgments, unknown, notes)
    once = frame.sort("score", descending=True, maintain_order=True)
    once = (once if duplicates == "highest" else frame).unique(_PAIR, keep="first")
    if gone := frame.height - once.height:
        if duplicates == "error":
            second = frame.filter(~pl.struct(_PAIR).is_first_distinct())
            raise DataError(
                f"the document {second['doc_id'][0]!r} is judged more than once for its query",
                where=judgments.where(second["\0row"][0], "doc_id"),
                remedy="Remove one, or choose with `--duplicates highest`.",
            )
        notes.append(f"judgments: left out {gone:,} of pairs judged before ({duplicates})")
    return once.sort("\0row").select(*_PAIR, "score", "query")


def _with_ids_of(
    frame: pl.DataFrame,
    dataset: RankingDataset,
    judgments: Table,
    unknown: Literal["error", "drop"],
    notes: list[str],
) -> pl.DataFrame:
    """Return the rows with the data set's query ids, those of unknown queries left out."""
    texts = dataset.queries.select("query_id", query=query_texts(dataset, "", []))
    twice = texts.filter(pl.col("query").is_duplicated())
    own = pl.col("query_id").is_in(texts["query_id"].implode())
    doubtful = frame.filter(~own & pl.col("query").is_in(twice["query"].implode()))
    if doubtful.height:
        raise DataError(
            f"several queries of {dataset.name} have the text {doubtful['query'][0]!r}",
            where=judgments.where(doubtful["\0row"][0], "query"),
            remedy="Merge them with `rankfield dedupe`, or use a list with their ids.",
        )
    by_text = texts.rename({"query_id": "of_text"}).unique("query", keep="first")
    frame = frame.join(by_text, on="query", how="left", maintain_order="left")
    frame = frame.with_columns(query_id=pl.when(own).then("query_id").otherwise("of_text"))
    known = pl.col("query_id").is_not_null() & pl.col("doc_id").is_in(
        dataset.documents["doc_id"].implode()
    )
    kept = frame.filter(known)
    if gone := frame.height - kept.height:
        first = frame.filter(~known)
        query = first["query_id"][0] is None
        name = first["query" if query else "doc_id"][0]
        if unknown == "error" or kept.is_empty():
            raise DataError(
                f"{name!r} is not among the {'queries' if query else 'documents'} of"
                f" {dataset.name}{more(gone - 1, 'row')}",
                where=judgments.where(first["\0row"][0], "query" if query else "doc_id"),
                remedy="Name the data set that the list is of, or leave such judgments out with"
                " `--unknown drop`.",
            )
        notes.append(f"judgments: left out {gone:,} of unknown queries or documents")
    return kept.drop("of_text")


def write_judgment_file(frame: pl.DataFrame, out: Path) -> None:
    """Write a table of judgments, whole or not at all; the end of the name says how.

    Raises:
        DataError: the name ends in something else.
        OutputError: it cannot be written.
    """
    require_judgment_name(out)
    with new_file(out) as temporary:
        if out.suffix == ".parquet":
            frame.write_parquet(temporary)
        elif out.suffix == ".jsonl":
            frame.write_ndjson(temporary)
        else:
            separator = "\t" if out.suffix == ".tsv" else ","
            frame.write_csv(temporary, separator=separator, quote_style="non_numeric")


def require_judgment_name(out: Path) -> None:
    """Raise `DataError` unless a file's name ends in one of `ENDINGS`."""
    if out.suffix not in ENDINGS:
        raise DataError(
            f"expected a file ending in {', '.join(ENDINGS)}",
            where=str(out),
            remedy="OUT is a table of query_id, doc_id and score.",
        )
