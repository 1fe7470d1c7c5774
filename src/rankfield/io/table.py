"""Tables of a source: what readers ask of them, and rows of which the files are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

__all__ = ["JoinedRows", "LocatedRows", "SourceTable"]


class LocatedRows(Protocol):
    """Rows in memory that know where they stand."""

    @property
    def frame(self) -> pl.DataFrame:
        """The rows."""

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""


class SourceTable(Protocol):
    """A table of which one column after another is looked at.

    `TextTable` and `PlacedTable` have it in memory, `StagedTable` in a file.
    """

    @property
    def path(self) -> Path:
        """The file that the user named."""

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read in a stream."""

    def column(self, name: str) -> pl.Series:
        """Return a column; of pictures and lists at least the first 10,000."""

    def each_column(self) -> Iterator[pl.Series]:
        """Yield what `column` returns of each column; of many columns some are read at once."""

    def rename(self, names: Mapping[str, str]) -> SourceTable:
        """Return the table with other names: old → new."""

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""


@dataclass(frozen=True)
class JoinedRows:
    """Rows of several files, one below the other."""

    parts: tuple[LocatedRows, ...]

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of all parts."""
        return pl.concat([part.frame for part in self.parts], how="diagonal")

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""
        for part in self.parts:
            if row < part.frame.height:
                return part.where(row, column)
            row -= part.frame.height
        raise IndexError(row)
