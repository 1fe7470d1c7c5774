"""Rows of judged pairs, as data sets on the Hub hold them, as queries, documents and judgments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from rankfield.column_names import DOC_IDS, QUERY_IDS, SCORES, find_column, quoted_names
from rankfield.errors import DataError
from rankfield.formats.checks import require_values
from rankfield.formats.describing_columns import describing_columns, first_known
from rankfield.formats.tables.reading import TableOptions, dataset_of_tables
from rankfield.io.table import Table
from rankfield.schema import Field, RankingDataset

__all__ = ["PART", "dataset_of_pairs"]

PART = "\0part"
"""The column of the pairs with the name of the split that a row is from."""
_QUERIES = ("query", "query_text", "question", "search_term", "anchor")


def dataset_of_pairs(
    root: Path, rows: Table, query: str | None, options: TableOptions
) -> tuple[RankingDataset, list[str]]:
    """Make a data set of rows with a query's text, a document's columns and a score.

    A column whose value is the same wherever its document occurs belongs to the document, others to
    the judgment; `describing_columns` says what happens where few rows differ. Without an id, equal
    texts are one query, and equal documents one document.

    Args:
        root: where paths of images start.
        rows: the pairs; the column `PART` is left out.
        query: the column with the query's text; query, question, … by default.
        options: as the arguments of `read_tables`.

    Returns:
        The data set, judgments in the order of the rows, and, one per line, what was guessed.

    Raises:
        DataError: a missing column, a bad id or score; with file and row.
        ImageError: a bad image, if `bad_images` is "error".
    """
    path = rows.path
    columns = [c for c in rows.frame.columns if c != PART]
    text = _one_of(path, columns, [query] if query else _QUERIES, "query")
    given = _first(options.get("score"))
    score = _one_of(path, columns, [given] if given else SCORES, "score")
    require_values(rows, text)
    notes = [f"pairs: column {text!r} is the query, {score!r} the score"]
    frame = rows.frame.drop(PART)
    query_id = _first(options.get("query_id")) or _found(path, columns, QUERY_IDS) or "query_id"
    if query_id not in columns:
        frame = frame.with_columns(_numbered(frame, [text], "q", query_id))
    doc_id = _first(options.get("doc_id")) or _found(path, columns, DOC_IDS) or "doc_id"
    others = [c for c in columns if c not in (text, score, query_id, doc_id)]
    if doc_id not in columns:
        frame = frame.with_columns(_numbered(frame, others, "d", doc_id))
        notes.append(f"documents: no id; rows alike in {', '.join(others)} are one document")
    table = rows.with_frame(frame)
    chosen = [_name(f) for f in options.get("document_fields") or ()]
    described = describing_columns(table, doc_id, others, "documents", notes, chosen=chosen)
    describing_columns(table, query_id, [text], "queries", notes, chosen=[text])
    further = [c for c in others if c not in described]
    if further:
        notes.append(
            f"judgments: {', '.join(further)} differ between the rows of one document and stay with"
            " the judgments"
        )
    tables = {
        "queries": _distinct(table, query_id, [text]),
        "documents": _distinct(table, doc_id, described),
        "judgments": table.with_frame(frame.select(query_id, doc_id, score, *further)),
    }
    options = options | TableOptions(query_id=query_id, doc_id=doc_id, score=score)
    dataset, guessed = dataset_of_tables(root, tables, **options)
    return dataset, notes + guessed


def _first(given: str | Sequence[str] | None) -> str | None:
    """Return the column that was asked for: pairs are one table."""
    return given if isinstance(given, str) else next(iter(given or ()), None)


def _name(item: Field | str) -> str:
    return item.name if isinstance(item, Field) else item.partition(":")[0]


def _found(path: Path, columns: Sequence[str], names: Sequence[str]) -> str | None:
    return find_column(columns, names, where=str(path))


def _one_of(path: Path, columns: Sequence[str], candidates: Sequence[str], option: str) -> str:
    found = _found(path, columns, candidates)
    if found is None:
        raise DataError(
            f"expected one of the columns {', '.join(candidates)}, found {quoted_names(columns)}",
            where=str(path),
            remedy=f"Name it with --{option}; pairs without a score are imported as"
            " sentence-transformers.",
        )
    return found


def _numbered(frame: pl.DataFrame, columns: list[str], sign: str, name: str) -> pl.Series:
    """Return an id for each row, the same for rows alike in the columns, in order."""
    distinct = frame.select(columns).unique(maintain_order=True).with_row_index("\0id")
    ids = frame.select(columns).join(
        distinct, on=columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return ids.select(pl.format(sign + "{}", "\0id").alias(name)).to_series()


def _distinct(rows: Table, identity: str, columns: list[str]) -> Table:
    table = rows.filter(pl.col(identity).is_first_distinct())
    return table.with_frame(first_known(rows.frame, identity, columns))
