"""What curation asks of a data set, whether it lies in memory or in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Protocol, TypeVar

import polars as pl

from rankfield.schema.fields import Field
from rankfield.schema.header import Described

__all__ = ["Part", "T", "Tables"]


class Part(Protocol):
    """Some rows of some columns; small enough to be read at once, and to be sent elsewhere."""

    def read(self) -> pl.DataFrame:
        """Return the rows."""


class Tables(Described, Protocol):
    """A data set by its tables: `RankingDataset` holds them, `DatasetFolder` reads what is asked.

    `table` is "queries", "documents" or "judgments" everywhere.
    """

    @property
    def root(self) -> Path | None:
        """The folder that image paths start from."""

    @property
    def is_split(self) -> bool:
        """Whether the judgments carry a split."""

    def fields(self, table: str) -> tuple[Field, ...]:
        """Return the fields of a table."""

    def schema(self, table: str) -> pl.Schema:
        """Return the columns of a table and their types."""

    def height(self, table: str) -> int:
        """Return the number of rows."""

    def lazy(self, table: str) -> pl.LazyFrame:
        """Return a table to be read in a stream."""

    def frame(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """Return these columns whole."""

    def parts(self, table: str, columns: Sequence[str], rows: int = 131_072) -> Sequence[Part]:
        """Return these columns in parts of at most about `rows` rows, in order."""

    def image_source(self, value: str | bytes) -> Path | bytes:
        """Turn a value of an image field into what `images.open_image` takes.

        Raises:
            DataError: a path that leads out of the data set's folder, through links too.
        """

    def with_columns(self: T, table: str, columns: pl.DataFrame) -> T:
        """Return the data set with these columns added to a table, or in place of its own."""

    def with_rows(self: T, table: str, kept: pl.Series) -> T:
        """Return the data set with the rows of a table for which `kept` (bool) is true."""

    def without_images(self: T, table: str, name: str, items: Mapping[int, Set[int]]) -> T:
        """Return the data set without these images: row → places, as `without_items`."""

    def with_notes(self: T, notes: Sequence[str], *, replacing: str = "") -> T:
        """Return the data set with notes added to its provenance.

        Args:
            notes: one per line.
            replacing: earlier notes that begin so are dropped; none if "".
        """


T = TypeVar("T", bound=Tables)
