"""The files of plain tables, their columns under the names that a data set gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rankfield.column_names import (
    DOC_IDS,
    PLAIN_IDS,
    QUERY_IDS,
    SCORES,
    find_column,
    quoted_names,
)
from rankfield.errors import DataError
from rankfield.foreign_files import own_paths
from rankfield.formats.assemble import Source
from rankfield.formats.foreign_columns import RESERVED, set_aside
from rankfield.io.tables import SUFFIXES, is_table, stage_table
from rankfield.messages import did_you_mean

__all__ = ["name_columns", "read_source"]


def read_source(
    folder: Path,
    stage: Path,
    files: Mapping[str, str | Path | None],
    columns: Mapping[str, str],
) -> Source:
    """Find and read the three tables, ids and scores under their standard names.

    Args:
        folder: where the tables are looked for, and where the paths of images start.
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
    source = Source("tables", folder, folder)
    for table, path in files.items():
        into = stage / table
        into.mkdir()
        source.tables[table] = stage_table(Path(path) if path else _find(folder, table), into)
    name_columns(source, columns)
    return source


def _find(folder: Path, table: str) -> Path:
    files = [path for path in own_paths(folder.iterdir(), folder) if path.is_file()]
    found = [path for path in files if is_table(path, table)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found or files[:20]) or "no file"
    raise DataError(
        f"expected one of {table}{{{','.join(SUFFIXES)}}}, found {names}",
        where=str(folder),
        remedy=f"Name the file with --{table}.",
    )


def name_columns(source: Source, chosen: Mapping[str, str]) -> None:
    """Give the id and score columns their standard names, and reserved names another.

    Args:
        source: its tables are replaced where a column is renamed, and its notes say so.
        chosen: as `columns` of `read_source`.

    Raises:
        DataError: there is no such column, or one of the standard name besides.
    """
    usual = {"query_id": QUERY_IDS, "doc_id": DOC_IDS, "score": SCORES}
    for table, wanted in (
        ("queries", ("query_id",)),
        ("documents", ("doc_id",)),
        ("judgments", ("query_id", "doc_id", "score")),
    ):
        for standard in wanted:
            given, names = chosen[standard], usual[standard]
            plain = () if table == "judgments" else PLAIN_IDS
            # a name that was asked for must be there, in the judgments at least
            others = (*names, *plain) if given == standard or plain else ()
            _rename(source, table, standard, given, others)
        source.tables[table] = set_aside(source.tables[table], RESERVED[table], table, source.notes)


def _rename(
    source: Source, table: str, standard: str, given: str, candidates: Sequence[str]
) -> None:
    columns = source.tables[table].columns
    path = source.tables[table].path
    # a name that was given counts as it is spelt, and before all others
    found = given if given in columns else find_column(columns, candidates, where=str(path))
    if found is None:
        option = "--" + standard.replace("_", "-")
        raise DataError(
            f"expected a column {given!r}, found {quoted_names(columns)}",
            where=str(path),
            remedy=f"{did_you_mean(given, columns)} Choose the column with {option}.".lstrip(),
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
