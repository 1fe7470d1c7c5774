"""The three tables of a source, their columns under the names that a data set gives them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rankfield.errors import DataError
from rankfield.formats.source_tables import SourceTable, quoted
from rankfield.formats.staged_tables import stage_table
from rankfield.formats.text_tables import SUFFIXES, is_table

__all__ = [
    "DOC_IDS",
    "SCORES",
    "TableSource",
    "name_columns",
    "read_source",
]

_QUERY_IDS = ("query_id", "query-id", "qid", "queryid")
DOC_IDS = ("doc_id", "doc-id", "docid", "document_id", "product_id", "item_id", "corpus-id")
"""What documents' ids are called, the likeliest first."""
_PLAIN_IDS = ("id", "_id")
SCORES = ("score", "relevance", "grade", "label", "rating")
"""What scores are called, the likeliest first."""
_RESERVED = {"queries": ("seen", "subset"), "documents": ("seen",), "judgments": ("split",)}


@dataclass
class TableSource:
    """The three tables as read, the folder that picture paths start from, and what was guessed.

    `divided` names the (table, column) of several paths in a text, with "|" between them.
    """

    folder: Path
    tables: dict[str, SourceTable] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    divided: set[tuple[str, str]] = field(default_factory=set)


def read_source(
    folder: Path,
    stage: Path,
    files: Mapping[str, str | Path | None],
    columns: Mapping[str, str],
) -> TableSource:
    """Find and read the three tables, ids and scores under their standard names.

    Args:
        folder: where the tables are looked for, and where the paths of pictures start.
        stage: a folder for rows of text files.
        files: table → the file that was named for it, or None.
        columns: "query_id", "doc_id" and "score" → the name of that column in the files.

    Raises:
        DataError: no such folder, file or column, or a broken file.
    """
    if not folder.is_dir():
        raise DataError(
            "expected a folder, found a file" if folder.exists() else "there is no such folder",
            where=str(folder),
            remedy="Name the folder that holds documents, queries and judgments.",
        )
    source = TableSource(folder)
    for table, path in files.items():
        into = stage / table
        into.mkdir()
        source.tables[table] = stage_table(Path(path) if path else _find(folder, table), into)
    name_columns(source, columns)
    return source


def _find(folder: Path, table: str) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [path for path in files if is_table(path, table)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found or files[:20]) or "no file"
    raise DataError(
        f"expected one of {table}{{{','.join(SUFFIXES)}}}, found {names}",
        where=str(folder),
        remedy=f"Name the file with --{table}.",
    )


def name_columns(source: TableSource, chosen: Mapping[str, str]) -> None:
    """Give the id and score columns their standard names, and reserved names another.

    Args:
        source: its tables are replaced where a column is renamed, and its notes say so.
        chosen: as `columns` of `read_source`.

    Raises:
        DataError: there is no such column, or one of the standard name besides.
    """
    usual = {"query_id": _QUERY_IDS, "doc_id": DOC_IDS, "score": SCORES}
    for table, wanted in (
        ("queries", ("query_id",)),
        ("documents", ("doc_id",)),
        ("judgments", ("query_id", "doc_id", "score")),
    ):
        for standard in wanted:
            given, names = chosen[standard], usual[standard]
            plain = () if table == "judgments" else _PLAIN_IDS
            # a name that was asked for must be there, in the judgments at least
            others = (*names, *plain) if given == standard or plain else ()
            _rename(source, table, standard, (given, *others))
        for column in _RESERVED[table]:
            columns = source.tables[table].columns
            if column in columns:
                free = f"source_{column}"
                while free in columns:
                    free = f"source_{free}"
                source.tables[table] = source.tables[table].rename({column: free})
                source.notes.append(f"{table}: column {column!r} is kept as {free!r}")


def _rename(source: TableSource, table: str, standard: str, candidates: Sequence[str]) -> None:
    columns = source.tables[table].columns
    found = next((name for name in candidates if name in columns), None)
    path = source.tables[table].path
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
    source.tables[table] = source.tables[table].rename({found: standard})
    source.notes.append(f"{table}: column {found!r} is the {standard}")
