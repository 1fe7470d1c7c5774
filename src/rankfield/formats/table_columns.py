"""What the id and score columns of plain tables are called."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from rankfield.errors import DataError
from rankfield.formats.text_tables import TextTable

__all__ = ["DOC_IDS", "SCORES", "name_columns", "quoted"]

_QUERY_IDS = ("query_id", "query-id", "qid", "queryid")
DOC_IDS = ("doc_id", "doc-id", "docid", "document_id", "product_id", "item_id", "corpus-id")
"""What documents' ids are called, the likeliest first."""
_PLAIN_IDS = ("id", "_id")
SCORES = ("score", "relevance", "grade", "label", "rating")
"""What scores are called, the likeliest first."""
_RESERVED = {"queries": ("seen", "subset"), "documents": ("seen",), "judgments": ("split",)}


def name_columns(
    tables: dict[str, TextTable], notes: list[str], query_id: str, doc_id: str, score: str
) -> None:
    """Give the id and score columns their standard names, and reserved names another.

    Args:
        tables: "queries", "documents" and "judgments"; replaced where a column is renamed.
        notes: gets a line for each that was renamed.
        query_id, doc_id, score: the columns asked for; the standard names allow others as well.

    Raises:
        DataError: there is no such column, or one of the standard name besides.
    """
    ids = {"query_id": (query_id, _QUERY_IDS), "doc_id": (doc_id, DOC_IDS)}
    for table, wanted in (
        ("queries", ("query_id",)),
        ("documents", ("doc_id",)),
        ("judgments", ("query_id", "doc_id", "score")),
    ):
        for standard in wanted:
            given, names = ids.get(standard, (score, SCORES))
            plain = () if table == "judgments" else _PLAIN_IDS
            # a name that was asked for must be there, in the judgments at least
            others = (*names, *plain) if given == standard or plain else ()
            _rename(tables, notes, table, standard, (given, *others))
        for column in _RESERVED[table]:
            columns = tables[table].frame.columns
            if column in columns:
                free = f"source_{column}"
                while free in columns:
                    free = f"source_{free}"
                _replace_frame(tables, table, {column: free})
                notes.append(f"{table}: column {column!r} is kept as {free!r}")


def _rename(
    tables: dict[str, TextTable],
    notes: list[str],
    table: str,
    standard: str,
    candidates: Sequence[str],
) -> None:
    columns = tables[table].frame.columns
    found = next((name for name in candidates if name in columns), None)
    path = tables[table].path
    if found is None:
        option = "--" + standard.replace("_", "-")
        near = difflib.get_close_matches(candidates[0], columns, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise DataError(
            f"expected a column {candidates[0]!r}, found {quoted(columns)}",
            where=str(path),
            remedy=f"{hint}Choose the column with {option}.",
        )
    if found == standard:
        return
    if standard in columns:
        raise DataError(
            f"column {found!r} was chosen, but there is a column {standard!r} too",
            where=str(path),
            remedy="Rename or remove one of them.",
        )
    _replace_frame(tables, table, {found: standard})
    notes.append(f"{table}: column {found!r} is the {standard}")


def _replace_frame(tables: dict[str, TextTable], table: str, renamed: dict[str, str]) -> None:
    old = tables[table]
    tables[table] = replace(old, frame=old.frame.rename(renamed))


def quoted(columns: Sequence[str]) -> str:
    """Return names in quotes, divided by commas."""
    return ", ".join(map(repr, columns))
