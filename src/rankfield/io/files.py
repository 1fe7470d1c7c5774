"""One table read from one or many files, and where each of its rows stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.arrow import arrow_batches, arrow_columns
from rankfield.io.delimited import csv_batches, csv_columns
from rankfield.io.tables import LINE, read_table, require_rows, text_batches
from rankfield.io.text import table_suffix
from rankfield.io.text_values import with_lists_of_json

__all__ = ["ENDINGS", "PlacedTable", "file_columns", "read_files", "stack"]

ENDINGS = (".parquet", ".arrow", ".csv", ".tsv", ".jsonl", ".ndjson")
"""The file names that `read_files` knows, by their ends."""

_TEXT = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class PlacedTable:
    """A table and the files that its rows come from, in order: (path, number of rows).

    `rows` are the rows of the files that the table has, all of them if None.
    """

    frame: pl.DataFrame
    files: tuple[tuple[Path, int], ...]
    rows: pl.Series | None = None

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message.

        Rows of text files are lines as an editor shows them; those of others count from 0.
        """
        path = self.path
        row = row if self.rows is None else int(self.rows[row])
        for path, count in self.files:  # noqa: B007
            if row < count:
                break
            row -= count
        number = f"{row} (counted from 0)"
        if table_suffix(path) in _TEXT:
            lines = read_table(path).lines  # read anew: this happens once, for a message
            number = number if lines is None else str(lines[row])
        return f"{path}, row {number}" + (f", column {column!r}" if column else "")

    @property
    def path(self) -> Path:
        """The first file."""
        return self.files[0][0]

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types."""
        return self.frame.schema

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.columns

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read in a stream."""
        return self.frame.lazy()

    def rename(self, names: Mapping[str, str]) -> PlacedTable:
        """Return the table with other names: old → new."""
        return self.with_frame(self.frame.rename(names))

    def column(self, name: str) -> pl.Series:
        """Return a column."""
        return self.frame[name]

    def each_column(self) -> Iterator[pl.Series]:
        """Yield the columns."""
        yield from self.frame

    def with_frame(self, frame: pl.DataFrame) -> PlacedTable:
        """Return other columns of the same rows."""
        return replace(self, frame=frame)

    def filter(self, kept: pl.Expr) -> PlacedTable:
        """Return the rows for which an expression is true; they still know where they stand."""
        mask = self.frame.select(kept.fill_null(False)).to_series()
        rows = pl.int_range(self.frame.height, eager=True) if self.rows is None else self.rows
        return PlacedTable(self.frame.filter(mask), self.files, rows.filter(mask))


def read_files(paths: Sequence[Path], columns: Sequence[str] | None = None) -> PlacedTable:
    """Read files of the same columns, one below the other.

    Text files as `text_tables.read_table` reads them, CSV in bounded memory; Parquet and Arrow
    with pictures as bytes and class labels by name (`arrow_files`).

    Args:
        paths: files that end in one of `ENDINGS`; at least one.
        columns: those to read, of which a file may lack some; all by default.

    Raises:
        DataError: a file is missing, broken or without rows, or columns of two files don't fit.
    """
    return stack([_read_file(path, columns) for path in paths])


def stack(tables: Sequence[PlacedTable]) -> PlacedTable:
    """Return tables one below the other; a column that one lacks is null there.

    Raises:
        DataError: a column has types that don't fit in two of them.
    """
    try:
        frame = pl.concat([table.frame for table in tables], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        paths = [path for table in tables for path, _ in table.files]
        raise DataError(
            f"a column has another type than in {paths[0].name} ({error})",
            where=", ".join(str(path) for path in paths[1:4]),
            remedy="Write all files with the same types.",
        ) from error
    return PlacedTable(frame, tuple(file for table in tables for file in table.files))


def file_columns(path: Path, *, sample: bool = False) -> list[str]:
    """Return the names of a file's columns; with `sample` those of the first JSON Lines only.

    Raises:
        DataError: no such file, broken, or (JSON Lines) without rows.
    """
    suffix = _suffix(path)
    if suffix in (".parquet", ".arrow"):
        return arrow_columns(path)
    if suffix in (".csv", ".tsv"):
        return csv_columns(path)
    if sample:
        first = next(text_batches(path), pl.DataFrame())
        return [name for name in first.columns if name != LINE]
    return read_table(path).frame.columns


def _read_file(path: Path, columns: Sequence[str] | None) -> PlacedTable:
    frames = list(_batches(path, columns))
    frame = pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
    require_rows(path, frame.height)
    return PlacedTable(frame.rechunk(), ((path, frame.height),))


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    suffix = _suffix(path)
    if suffix in (".parquet", ".arrow"):
        yield from arrow_batches(path, columns)
    elif suffix in (".csv", ".tsv"):
        yield from csv_batches(path, columns)
    else:
        frame = with_lists_of_json(read_table(path, marks=True).frame)
        yield frame if columns is None else frame.select(c for c in columns if c in frame.columns)


def _suffix(path: Path) -> str:
    if not path.is_file():
        raise DataError(
            "there is no such file",
            where=str(path),
            remedy="Fetch it, or name the right folder and layout.",
        )
    suffix = table_suffix(path)
    if suffix not in ENDINGS:
        raise DataError(f"expected a file ending in {', '.join(ENDINGS)}", where=str(path))
    return suffix
