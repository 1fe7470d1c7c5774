"""Columns of a source whose names rankfield, or a layout, gives to columns of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from rankfield.column_names import find_column, free_name, quoted_names
from rankfield.errors import DataError
from rankfield.io.table import Table

__all__ = ["RESERVED", "set_aside", "set_aside_in_frame", "with_standard_names"]

RESERVED: Mapping[str, tuple[str, ...]] = {
    "queries": ("seen", "subset"),
    "documents": ("seen",),
    "judgments": ("split",),
}
"""The columns of each table that hold its splits."""


def set_aside(table: Table, names: Collection[str], what: str, notes: list[str]) -> Table:
    """Return the table with columns of these names kept as "source_NAME", and a note for each.

    Args:
        table: as read.
        names: those that rankfield is going to use.
        what: "queries", "documents" or "judgments", for the notes.
        notes: grows.
    """
    free = _free(table.columns, names, what, notes)
    return table.rename(free) if free else table


def set_aside_in_frame(
    frame: pl.DataFrame, names: Collection[str], what: str, notes: list[str]
) -> pl.DataFrame:
    """Return what `set_aside` does, of rows that know no file, such as those of an export."""
    return frame.rename(_free(frame.columns, names, what, notes))


def with_standard_names(
    table: Table,
    names: Mapping[str, str],
    what: str,
    notes: list[str],
    *,
    taken: Sequence[str] = (),
) -> Table:
    """Return the table with the layout's columns under rankfield's names.

    Other spellings of a column are found too (`column_names.find_column`). A foreign column of a
    name that is needed is kept as "source_NAME", with a note.

    Args:
        table: as read.
        names: the layout's name of a column → rankfield's.
        what: "queries", "documents" or "judgments".
        notes: grows.
        taken: further names that the reader is going to use.

    Raises:
        DataError: a column is missing, or there in two spellings.
    """
    where = str(table.path)
    found: dict[str, str] = {}
    for name, standard in names.items():
        column = find_column(table.columns, [name], where=where)
        if column is None:
            raise DataError(
                f"expected a column {name!r}, found {quoted_names(table.columns)}",
                where=where,
                remedy="Name the column so.",
            )
        found[column] = standard
    needed = {*found.values(), *taken, *RESERVED[what]} - set(found)
    table = set_aside(table, needed, what, notes)
    renamed = {old: new for old, new in found.items() if old != new}
    return table.rename(renamed) if renamed else table


def _free(
    columns: Sequence[str], names: Collection[str], what: str, notes: list[str]
) -> dict[str, str]:
    """Return column → free name, of the columns that have one of `names`."""
    free: dict[str, str] = {}
    for column in columns:
        if column in names:
            free[column] = free_name(column, [*columns, *names, *free.values()])
            note = f"{what}: column {column!r} is kept as {free[column]!r}"
            if note not in notes:  # of the next file of the same columns
                notes.append(note)
    return free
