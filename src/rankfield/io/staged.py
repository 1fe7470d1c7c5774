"""One table of any size, column by column: a text file is brought into Parquet first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from rankfield.io.columns import require_names, require_width
from rankfield.io.delimited import csv_batches
from rankfield.io.parquet_size import require_bounded
from rankfield.io.tables import (
    DELIMITERS,
    LINE,
    line_of,
    require_rows,
    require_table,
    text_batches,
)
from rankfield.io.text import reading, table_suffix

__all__ = ["StagedTable", "stage_table"]

_SAMPLE = 10_000
_CELLS = 1 << 22


@dataclass(frozen=True)
class StagedTable:
    """What `text_tables.TextTable` is, without its rows in memory.

    path: the file that the user named.
    stored: Parquet with its rows in order; strings, null where the file has nothing, of a text
        file, and the file itself of a Parquet file.
    renamed: names of columns → their names in `stored`.
    """

    path: Path
    stored: Path
    renamed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def schema(self) -> pl.Schema:
        """The columns and their types."""
        with reading(self.path):
            return self.lazy().collect_schema()

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema)

    def lazy(self) -> pl.LazyFrame:
        """Return the table to be read in a stream."""
        names = {old: new for new, old in self.renamed.items()}
        return pl.scan_parquet(self.stored, glob=False).rename(names)

    def column(self, name: str) -> pl.Series:
        """Return a column of strings or numbers; of pictures and lists the first 10,000.

        Raises:
            DataError: the file is broken.
        """
        chosen = self.lazy().select(name)
        if _is_sampled(self.schema[name]):
            chosen = chosen.drop_nulls().head(_SAMPLE)
        with reading(self.path):
            return chosen.collect()[name]

    def each_column(self) -> Iterator[pl.Series]:
        """Yield what `column` returns of each column; of many columns some are read at once."""
        with reading(self.path):
            height = int(self.lazy().select(pl.len()).collect().item())
        size = max(_CELLS // max(height, 1), 1)
        names = self.columns
        for start in range(0, len(names), size):
            group = names[start : start + size]
            plain = [n for n in group if not _is_sampled(self.schema[n])] if size > 1 else []
            with reading(self.path):
                frame = self.lazy().select(plain).collect()
            for name in group:
                yield frame[name] if name in frame.columns else self.column(name)

    def rename(self, names: Mapping[str, str]) -> StagedTable:
        """Return the table with other names: old → new."""
        renamed = {names.get(new, new): old for new, old in self.renamed.items()}
        renamed |= {new: old for old, new in names.items() if old not in self.renamed}
        return replace(self, renamed=renamed)

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message.

        The line of a text file is looked up in the file.
        """
        text = self.stored != self.path
        number = str(line_of(self.path, row)) if text else f"{row} (counted from 0)"
        return f"{self.path}, row {number}" + (f", column {column!r}" if column else "")


def _is_sampled(dtype: pl.DataType) -> bool:
    return dtype == pl.Binary or dtype.is_nested()


def stage_table(path: Path, folder: Path) -> StagedTable:
    """Return a table of the formats that `text_tables.read_table` reads.

    Args:
        path: the file.
        folder: where a text file's rows are written as Parquet.

    Raises:
        DataError: no such file, no rows, or the file is broken; says at which row.
    """
    require_table(path)
    table = StagedTable(path, path)
    if table_suffix(path) == ".parquet":
        with reading(path):
            require_bounded(path)
    else:
        table = StagedTable(path, folder / f"{path.name}.parquet")
        batches = csv_batches(path) if table_suffix(path) in DELIMITERS else _objects(path)
        _write(table.stored, batches)
    if table.stored.is_file():
        require_width(path, len(table.schema))
        require_names(path, table.columns)
    with reading(path):
        height = table.lazy().select(pl.len()).collect().item() if table.stored.is_file() else 0
    require_rows(path, height)
    return table


def _objects(path: Path) -> Iterator[pl.DataFrame]:
    """Yield JSON Lines' rows; a first reading finds the names, which no header tells."""
    names: dict[str, None] = {}
    for batch in text_batches(path):
        names |= dict.fromkeys(batch.drop(LINE).columns)
        require_width(path, len(names))
    nothing = pl.lit(None, pl.String)
    for batch in text_batches(path, marks=True):
        yield batch.select(n if n in batch.columns else nothing.alias(n) for n in names)


def _write(path: Path, batches: Iterator[pl.DataFrame]) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            rows = batch.to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(path, rows.schema, compression="zstd")
            writer.write_table(rows)
    finally:
        if writer is not None:
            writer.close()
