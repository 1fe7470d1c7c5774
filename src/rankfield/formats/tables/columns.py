"""The files of plain tables, their columns under the names that a data set gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rankfield.column_names import (
    DOC_IDS,
    PLAIN_IDS,
    QUERY_IDS,
    QUERY_TEXTS,
    SCORES,
    find_column,
    free_name,
    normalised_name,
    quoted_names,
)
from rankfield.errors import DataError
from rankfield.foreign_files import own_paths
from rankfield.formats.assemble import Source
from rankfield.formats.foreign_columns import RESERVED, set_aside
from rankfield.formats.tables.judged_records import name_judged_records, queries_of_judgments
from rankfield.io.table import Table
from rankfield.io.tables import SUFFIXES, is_table, stage_table
from rankfield.messages import did_you_mean

__all__ = ["name_columns", "read_source"]

_USUAL = {"query_id": QUERY_IDS, "doc_id": DOC_IDS, "score": SCORES}
_OWN = {"queries": "query_id", "documents": "doc_id"}


def read_source(
    folder: Path,
    stage: Path,
    files: Mapping[str, str | Path | None],
    columns: Mapping[str, Sequence[str]],
) -> Source:
    """Find and read the tables, ids and scores under their standard names.

    Queries may have no file where the judgments have a column of their texts.

    Args:
        folder: where the tables are looked for, and where the paths of images start.
        stage: a folder for rows of text files.
        files: table → the file that was named for it, or None.
        columns: as `chosen` of `name_columns`.

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
    for table in ("judgments", "queries", "documents"):
        path = files[table] or _find(folder, table)
        if path is None and (table != "queries" or not _texts(source.tables["judgments"])):
            raise _not_there(folder, table)
        if path is not None:
            into = stage / table
            into.mkdir()
            source.tables[table] = stage_table(Path(path), into)
    name_columns(source, columns)
    return source


def _files(folder: Path) -> list[Path]:
    return [path for path in own_paths(folder.iterdir(), folder) if path.is_file()]


def _find(folder: Path, table: str) -> Path | None:
    """Return the file of a table in a folder, None if there is none.

    Raises:
        DataError: there are several.
    """
    found = [path for path in _files(folder) if is_table(path, table)]
    if len(found) > 1:
        raise _not_there(folder, table, found)
    return found[0] if found else None


def _not_there(folder: Path, table: str, found: Sequence[Path] = ()) -> DataError:
    names = ", ".join(path.name for path in found or _files(folder)[:20]) or "no file"
    either = " Or give the judgments a column with the text." if table == "queries" else ""
    return DataError(
        f"expected one of {table}{{{','.join(SUFFIXES)}}}, found {names}",
        where=str(folder),
        remedy=f"Name the file with --{table}.{either if not found else ''}",
    )


def _texts(judgments: Table) -> str | None:
    return find_column(judgments.columns, QUERY_TEXTS, where=str(judgments.path))


def name_columns(source: Source, chosen: Mapping[str, Sequence[str]]) -> None:
    """Give the id and score columns their standard names, and reserved names another.

    Judgments that name a record by another column than its id are joined by it
    (`judged_records.name_judged_records`).

    Args:
        source: its tables are replaced where a column is renamed, and its notes say so. Without
            queries, they are those whose texts the judgments hold.
        chosen: "query_id", "doc_id" and "score" → the names of that column, each for all tables or,
            as TABLE.COLUMN, for one; the usual names if empty.

    Raises:
        DataError: there is no such column, or a judgment is of no record.
    """
    for standard, names in chosen.items():
        _require_somewhere(source, standard, names)
    judgments = source.tables["judgments"]
    texts = None if "queries" in source.tables else _texts(judgments)
    if texts is not None:
        _make_queries(source, texts, chosen["query_id"])
    for table, standard in _OWN.items():
        found = _column(source, table, standard, chosen[standard], PLAIN_IDS)
        _rename(source, table, standard, found)
    score = _column(source, "judgments", "score", chosen["score"])
    _rename(source, "judgments", "score", score)
    for table, standard in _OWN.items():
        further = QUERY_TEXTS if standard == "query_id" else _shared(source, table)
        found = _column(source, "judgments", standard, chosen[standard], further)
        name_judged_records(source, standard, found)
    for table, names in RESERVED.items():
        source.tables[table] = set_aside(source.tables[table], names, table, source.notes)


def _make_queries(source: Source, texts: str, chosen: Sequence[str]) -> None:
    """Add the queries whose texts are in the judgments."""
    judgments = source.tables["judgments"]
    given = _asked(judgments, "judgments", chosen)
    identity = given or find_column(judgments.columns, QUERY_IDS, where=str(judgments.path))
    identity = None if identity == texts else identity
    source.tables["queries"] = queries_of_judgments(judgments, texts, identity)
    made = "" if identity else "; their ids are made of them"
    source.notes.append(f"queries: the texts {texts!r} of the judgments{made}")


def _shared(source: Source, table: str) -> list[str]:
    """Return the columns of the judgments that a table of records has too, but its fields."""
    own = {normalised_name(name) for name in source.tables[table].columns}
    return [n for n in source.tables["judgments"].columns if normalised_name(n) in own]


def _require_somewhere(source: Source, standard: str, names: Sequence[str]) -> None:
    """Raise unless each name that was asked for is a column of the table, or of any."""
    for name in names:
        if not any(_asked(read, table, [name]) for table, read in source.tables.items()):
            table, dot, column = name.partition(".")
            one = source.tables.get(table) if dot else None
            read = source.tables["judgments"] if one is None else one
            raise _no_column(read, column if one else name, standard)


def _asked(read: Table, table: str, names: Sequence[str]) -> str | None:
    """Return the column that was asked for of a table, if it has it; TABLE.COLUMN goes first."""
    own = [n.removeprefix(f"{table}.") for n in names if n.startswith(f"{table}.")]
    return find_column(read.columns, (*own, *names), where=str(read.path))


def _column(
    source: Source,
    table: str,
    standard: str,
    chosen: Sequence[str],
    further: Sequence[str] = (),
) -> str:
    """Return the column of a table that was asked for, or else is called by a usual name."""
    read = source.tables[table]
    usual = (*_USUAL[standard], *further)
    found = _asked(read, table, chosen) or find_column(read.columns, usual, where=str(read.path))
    if found is None:
        raise _no_column(read, standard, standard)
    return found


def _no_column(read: Table, name: str, standard: str) -> DataError:
    option = "--" + standard.replace("_", "-")
    return DataError(
        f"expected a column {name!r}, found {quoted_names(read.columns)}",
        where=str(read.path),
        remedy=f"{did_you_mean(name, read.columns)} Choose the column with {option}.".lstrip(),
    )


def _rename(source: Source, table: str, standard: str, found: str) -> None:
    if found == standard:
        return
    read = source.tables[table]
    names = {found: standard}
    if standard in read.columns:
        names[standard] = free_name(standard, read.columns)
        source.notes.append(f"{table}: column {standard!r} is kept as {names[standard]!r}")
    source.tables[table] = read.rename(names)
    source.notes.append(f"{table}: column {found!r} is the {standard}")
