"""Tables of pairs with a header, whatever the file is called: their columns and their splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from rankfield.column_names import DOC_IDS, QUERY_IDS, find_column, quoted_names
from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.io.delimited import DELIMITERS
from rankfield.io.lines import read_lines, split_lines
from rankfield.io.numbers import finite_numbers
from rankfield.io.table import Table
from rankfield.io.tables import SUFFIXES, read_table
from rankfield.io.text import table_suffix

__all__ = ["SPLIT", "pairs_of", "read_pair_table"]

SPLIT = "split"
"""The column of the tables that rankfield writes which says of which split a row is."""

_QUERIES = (*QUERY_IDS, "q_id", "query")
_TREC = {4: 3, 6: 4}
"""Columns of TREC's qrels and run files, and the place of the score among them."""


def read_pair_table(path: Path) -> Table | None:
    """Return the table of a file with a header, None of a file in TREC's form.

    The end of the name says what a table is; but MS MARCO's .tsv are TREC's qrels without a
    header, and others' .txt have one.

    Raises:
        DataError: no such file, or a table without a header; with what to do.
    """
    if table_suffix(path) not in SUFFIXES:
        return _blank_divided(path) if path.is_file() else None
    if (delimiter := DELIMITERS.get(table_suffix(path))) is None or not path.is_file():
        return read_table(path)
    first = read_lines(path, head=1).frame["text"][0]
    words = [word.strip().strip('"') for word in first.split(delimiter)]
    if not _has_ids(words):
        if delimiter == "\t" and _is_number(words, _TREC.get(len(words))):
            return None
        if any(_is_number(words, place) for place in range(len(words))):
            raise DataError(
                f"the file has no header: its first row is {first[:60]!r}",
                where=str(path),
                remedy="Write a first row with the names query_id, doc_id, score.",
            )
    return read_table(path)


def pairs_of(table: Table, numbers: Sequence[Sequence[str]], *, split: str | None) -> Table:
    """Return query_id, doc_id (text), the numbers (float64), and the split where there is one.

    Args:
        table: as its file has it.
        numbers: for each column of numbers the names that it may have; in the result it has the
            first of them. One of them at least must be there.
        split: keep only rows of this split, where the table has a column `SPLIT`.

    Raises:
        DataError: a missing column, an empty id, no finite number, an unknown split; with file
            and row.
    """
    where = str(table.path)
    ids = [find_column(table.columns, names, where=where) for names in (_QUERIES, DOC_IDS)]
    found = [find_column(table.columns, names, where=where) for names in numbers]
    query, document = ids
    if query is None or document is None or not any(found):
        missing = [n for n, i in zip(("query_id", "doc_id"), ids, strict=True) if i is None]
        missing = missing[:1] or [names[0] for names in numbers[:2]]
        raise DataError(
            f"column {' or '.join(missing)!r} is missing; found {', '.join(table.columns)}",
            where=where,
            remedy="Name the columns query_id, doc_id, score.",
        )
    if split is not None and SPLIT in table.columns:
        table = _of_split(table, split)
    for name in (query, document):
        _refuse_empty(table, name)
    frame = table.frame.select(
        pl.col(query).cast(pl.String).alias("query_id"),
        pl.col(document).cast(pl.String).alias("doc_id"),
        *(
            finite_numbers(table, name).alias(names[0])
            for name, names in zip(found, numbers, strict=True)
            if name is not None
        ),
        *([SPLIT] if SPLIT in table.columns else []),
    )
    return table.with_frame(frame)


def _of_split(table: Table, split: str) -> Table:
    keep = (table.frame[SPLIT].cast(pl.String) == split).fill_null(False)
    if not keep.any():
        names = table.frame[SPLIT].cast(pl.String).drop_nulls().unique().sort().to_list()
        raise DataError(
            f"no row is of the split {split!r}; there are {quoted_names(names) or 'none'}",
            where=str(table.path),
        )
    return table.filter(keep)


def _has_ids(words: Sequence[str]) -> bool:
    return all(find_column(words, names) for names in (_QUERIES, DOC_IDS))


def _is_number(words: Sequence[str], place: int | None) -> bool:
    if place is None:
        return False
    try:
        float(words[place])
    except ValueError:
        return False
    return True


def _blank_divided(path: Path) -> Table | None:
    """Return the rows below a header delimited by blanks or tabs, or None if there is no header."""
    first = read_lines(path, head=1).frame["text"][0]
    tabs = "\t" in first
    names = [name.strip() for name in (first.split("\t") if tabs else first.split())]
    if not _has_ids(names) or len(set(names)) < len(names):
        return None
    lines = read_lines(path)
    rows = lines.filter(pl.int_range(pl.len()) > 0)
    if rows.frame.is_empty():
        raise DataError("expected at least one row below the header, found none", where=str(path))
    return split_lines(rows, names, tabs=tabs)


def _refuse_empty(table: Table, column: str) -> None:
    ids = table.frame.select(pl.col(column).cast(pl.String))
    empty = ids.select(is_absent(column, pl.String()))[column]
    if empty.any():
        raise DataError(
            "expected an id, found nothing", where=table.where(int(empty.arg_max() or 0), column)
        )
