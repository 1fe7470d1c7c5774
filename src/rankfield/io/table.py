"""The one table of the readers: rows and columns, and where each row stands in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.text import reading
from rankfield.messages import more

__all__ = ["Place", "Table", "counted_rows", "numbered_lines", "stack"]

Place = Callable[[int], str]
"""From the number of a row to how a message names it: "FILE, row 3"."""

_SAMPLE = 10_000
_CELLS = 1 << 22


def counted_rows(path: Path) -> Place:
    """Return how rows are named that have no line: counted from 0."""
    return lambda row: f"{path}, row {row} (counted from 0)"


def numbered_lines(path: Path) -> Place:
    """Return how rows are named whose numbers are lines, counted from 1 as an editor does."""
    return lambda line: f"{path}, row {line}"


@dataclass(frozen=True)
class Table:
    """Rows and columns, in memory or in a file, and where each row stands.

    path: the file that the user named, the first of several.
    data: the rows: a frame in memory, or one that is read from a file of any size when needed.
    place: how a message names a row.
    numbers: of each row the number that `place` takes; 0, 1, 2, … if None.
    """

    path: Path
    data: pl.DataFrame | pl.LazyFrame
    place: Place
    numbers: pl.Series | None = None

    @classmethod
    def counted(cls, path: Path, frame: pl.DataFrame) -> Table:
        """Return a table in memory whose rows are counted from 0."""
        return cls(path, frame, counted_rows(path))

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""
        number = row if self.numbers is None else int(self.numbers[row])
        return self.place(number) + (f", column {column!r}" if column else "")

    @property
    def frame(self) -> pl.DataFrame:
        """The rows in memory.

        Raises:
            DataError: the file is broken.
        """
        if isinstance(self.data, pl.DataFrame):
            return self.data
        with reading(self.path):
            return self.data.collect()

    @cached_property
    def schema(self) -> pl.Schema:
        """The columns and their types."""
        with reading(self.path):
            return self.data.collect_schema()

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema)

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read in a stream."""
        return self.data.lazy()

    def column(self, name: str) -> pl.Series:
        """Return a column; of images and lists in a file at least the first 10,000.

        Raises:
            DataError: the file is broken.
        """
        if isinstance(self.data, pl.DataFrame):
            return self.data[name]
        chosen = self.data.select(name)
        if _is_sampled(self.schema[name]):
            chosen = chosen.drop_nulls().head(_SAMPLE)
        with reading(self.path):
            return chosen.collect()[name]

    def each_column(self) -> Iterator[pl.Series]:
        """Yield what `column` returns of each column; of many columns some are read at once."""
        if isinstance(self.data, pl.DataFrame):
            yield from self.data
            return
        with reading(self.path):
            height = int(self.data.select(pl.len()).collect().item())
        size = max(_CELLS // max(height, 1), 1)
        names = self.columns
        for start in range(0, len(names), size):
            group = names[start : start + size]
            plain = [n for n in group if not _is_sampled(self.schema[n])] if size > 1 else []
            with reading(self.path):
                frame = self.data.select(plain).collect()
            for name in group:
                yield frame[name] if name in frame.columns else self.column(name)

    def require_columns(self, *names: str, remedy: str = "") -> None:
        """Raise `DataError` if the table lacks one of these columns."""
        for name in names:
            if name not in self.schema:
                raise DataError(
                    f"column {name!r} is missing; found {', '.join(self.columns) or 'none'}",
                    where=str(self.path),
                    remedy=remedy,
                )

    def refuse(self, column: str, bad: pl.Series, problem: str, remedy: str = "") -> None:
        """Raise `DataError` at the first row that `bad` marks, if there is one.

        Args:
            column: named beside the row.
            bad: of each row whether it is to be refused.
            problem: {} in it is what the row has in the column.
            remedy: what to do.
        """
        if not bad.any():
            return
        row = int(bad.arg_max() or 0)
        value = self.frame[column][row]
        found = "nothing" if value is None else repr(value)
        raise DataError(
            problem.replace("{}", found) + more(int(bad.sum()) - 1, "row"),
            where=self.where(row, column),
            remedy=remedy,
        )

    def rename(self, names: Mapping[str, str]) -> Table:
        """Return the table with other names: old → new."""
        return replace(self, data=self.data.rename(names))

    def with_frame(self, frame: pl.DataFrame) -> Table:
        """Return other columns of the same rows."""
        return replace(self, data=frame)

    def with_columns(self, *columns: pl.Expr | pl.Series, **named: pl.Expr | pl.Series) -> Table:
        """Return the table with further columns, or others in place of its own."""
        return self.with_frame(self.frame.with_columns(*columns, **named))

    def filter(self, kept: pl.Expr | pl.Series) -> Table:
        """Return the rows for which an expression, or a column, is true."""
        frame = self.frame
        mask = (
            frame.select(kept.fill_null(False)).to_series() if isinstance(kept, pl.Expr) else kept
        )
        rows = pl.int_range(frame.height, eager=True).filter(mask)
        return self.taken(frame.filter(mask), rows)

    def taken(self, frame: pl.DataFrame, rows: pl.Series | Sequence[int]) -> Table:
        """Return the table of other rows: `rows` says of each which of this table's it is from."""
        rows = pl.Series(rows, dtype=pl.Int64)
        numbers = rows if self.numbers is None else self.numbers.gather(rows)
        return replace(self, data=frame, numbers=numbers)


def _is_sampled(dtype: pl.DataType) -> bool:
    return dtype == pl.Binary or dtype.is_nested()


def stack(tables: Sequence[Table]) -> Table:
    """Return tables in memory one below the other; a column that one lacks is null there.

    Raises:
        DataError: a column has types that don't fit in two of them.
    """
    if len(tables) == 1:
        return tables[0]
    try:
        frame = pl.concat([table.frame for table in tables], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        paths = [table.path for table in tables]
        raise DataError(
            f"a column has another type than in {paths[0].name} ({error})",
            where=", ".join(map(str, paths[1:4])),
            remedy="Write all files with the same types.",
        ) from error
    parts = [(table.frame.height, table.place, table.numbers) for table in tables]

    def place(row: int) -> str:
        for height, part, numbers in parts:
            if row < height:
                return part(row if numbers is None else int(numbers[row]))
            row -= height
        raise IndexError(row)

    return Table(tables[0].path, frame, place)
