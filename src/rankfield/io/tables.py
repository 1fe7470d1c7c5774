"""Tables from files, by the end of their names: in memory, of several files, or of any size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.arrow import arrow_batches, arrow_columns
from rankfield.io.columns import require_names, require_width
from rankfield.io.delimited import DELIMITERS, csv_batches, csv_lines, read_header
from rankfield.io.json_lines import json_batches, json_lines, text_frame_of_json
from rankfield.io.parquet import require_bounded
from rankfield.io.table import Place, Table, counted_rows, stack
from rankfield.io.text import reading, table_suffix
from rankfield.io.text_values import marked, with_lists_of_json
from rankfield.paths import require_regular

__all__ = [
    "ENDINGS",
    "SUFFIXES",
    "file_columns",
    "is_table",
    "read_files",
    "read_table",
    "read_text_records",
    "require_table",
    "stage_table",
]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""The file names that `read_table` knows, by their ends; text may have .gz after them."""
ENDINGS = (".parquet", ".arrow", ".csv", ".tsv", ".jsonl", ".ndjson")
"""The file names that `read_files` knows, by their ends."""

_BINARY = (".parquet", ".arrow")


def read_table(path: Path, *, delimiter: str | None = None, marks: bool = False) -> Table:
    """Read a table into memory: text as text, null where there is nothing; Parquet with its types.

    Text is UTF-8 with or without a byte order mark, perhaps compressed with gzip. CSV and TSV have
    a header and are quoted with '"'; JSON Lines holds one object per line, numbers keep their
    spelling, nested values become JSON text.

    Args:
        path: a file ending in one of `SUFFIXES`.
        delimiter: of a .csv or .tsv file that is not what its name says.
        marks: whether lists and objects of JSON Lines have `text_values.MARK` before their text.

    Raises:
        DataError: no such file, no rows, or the file is broken; says at which row.
    """
    require_table(path)
    if table_suffix(path) == ".parquet":
        with reading(path):
            require_bounded(path)
            frame = pl.read_parquet(path, glob=False)
        require_width(path, frame.width)
        require_names(path, frame.columns)
    else:
        frame = _concatenated(_text_batches(path, delimiter=delimiter, marks=marks))
    # without columns, as of {} in JSON Lines, there are no rows that could be named
    _require_rows(path, frame.height if frame.width else 0)
    return Table(path, frame, _place(path, delimiter))


def read_text_records(path: Path, keys: Collection[str]) -> Table:
    """Read a file as `read_table` does with `marks`, ten times as fast if all of `keys` are texts.

    Other keys, numbers, broken lines and half surrogate pairs are left to `read_table`, which names
    the line. Keys whose every value is an empty object are left out.

    Raises:
        DataError: as `read_table`.
    """
    require_table(path)
    frame = text_frame_of_json(path, keys)
    if frame is None:
        frame = read_table(path, marks=True).frame
    empty = [c.name for c in frame if c.dtype == pl.String and c.eq_missing(marked({})).all()]
    return Table(path, frame.drop(empty), _place(path))


def read_files(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Table:
    """Read files of the same columns into one table, one below the other.

    Text as `read_table` reads it, lists of JSON Lines as lists; Parquet and Arrow with images as
    bytes and class labels by name (`arrow.arrow_batches`).

    Args:
        paths: files that end in one of `ENDINGS`; at least one.
        columns: those to read, of which a file may lack some; all by default.

    Raises:
        DataError: a file is missing, broken or without rows, or columns of two files don't fit.
    """
    return stack([_read_file(path, columns) for path in paths])


def file_columns(path: Path, *, sample: bool = False) -> list[str]:
    """Return the names of a file's columns; with `sample` those of the first JSON Lines only.

    Raises:
        DataError: no such file, broken, or (JSON Lines) without rows.
    """
    suffix = _known_suffix(path)
    if suffix in _BINARY:
        return arrow_columns(path)
    if suffix in DELIMITERS:
        return read_header(path)
    if sample:
        return next(json_batches(path), pl.DataFrame()).columns
    return read_table(path).frame.columns


def stage_table(path: Path, folder: Path) -> Table:
    """Return a table of any size, of the files that `read_table` reads, without holding its rows.

    Args:
        path: the file.
        folder: where a text file's rows are written as Parquet.

    Raises:
        DataError: no such file, no rows, or the file is broken; says at which row.
    """
    require_table(path)
    if table_suffix(path) == ".parquet":
        stored = path
        with reading(path):
            require_bounded(path)
    else:
        stored = folder / f"{path.name}.parquet"
        csv = table_suffix(path) in DELIMITERS
        _write(stored, csv_batches(path) if csv else _records(path))
        _require_rows(path, int(stored.is_file()))
    table = Table(path, pl.scan_parquet(stored, glob=False), _place(path))
    require_width(path, len(table.schema))
    require_names(path, table.columns)
    with reading(path):
        _require_rows(path, table.lazy().select(pl.len()).collect().item())
    return table


def is_table(path: Path, name: str) -> bool:
    """Return whether a file is named `name`, in any case, with an end that `read_table` knows."""
    return table_suffix(path) in SUFFIXES and path.name.lower().partition(".")[0] == name


def require_table(path: Path) -> None:
    """Raise `DataError` unless there is a file with a name that `read_table` knows."""
    if not path.is_file():
        raise DataError(
            "there is no such file", where=str(path), remedy="Look at the spelling of its name."
        )
    require_regular(path, DataError)
    if table_suffix(path) not in SUFFIXES:
        raise DataError(
            f"expected a file ending in {', '.join(SUFFIXES)}",
            where=str(path),
            remedy="Save it as one of these.",
        )


def _place(path: Path, delimiter: str | None = None) -> Place:
    """Return how a file's rows are named: by the line where each begins, if they have any.

    The line is looked up in the file, which happens once, for a message.
    """
    suffix = table_suffix(path)
    if suffix in _BINARY:
        return counted_rows(path)

    def place(row: int) -> str:
        lines = csv_lines(path, delimiter) if suffix in DELIMITERS else json_lines(path)
        return f"{path}, row {next(islice(lines, row, None))}"

    return place


def _text_batches(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    delimiter: str | None = None,
    marks: bool = False,
) -> Iterator[pl.DataFrame]:
    if table_suffix(path) in DELIMITERS:
        return csv_batches(path, columns, delimiter=delimiter)
    return json_batches(path, marks=marks)


def _concatenated(frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
    found = list(frames)
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def _read_file(path: Path, columns: Sequence[str] | None) -> Table:
    if _known_suffix(path) in _BINARY:
        frame = _concatenated(arrow_batches(path, columns))
    else:
        frame = _concatenated(_text_batches(path, columns, marks=True))
        if table_suffix(path) not in DELIMITERS:
            frame = with_lists_of_json(frame)
            frame = frame.select(c for c in frame.columns if columns is None or c in columns)
    _require_rows(path, frame.height)
    return Table(path, frame.rechunk(), _place(path))


def _known_suffix(path: Path) -> str:
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


def _require_rows(path: Path, height: int) -> None:
    if not height:
        raise DataError(
            "expected at least one row, found none",
            where=str(path),
            remedy="Export or fetch the file again, or remove it.",
        )


def _records(path: Path) -> Iterator[pl.DataFrame]:
    """Yield JSON Lines' rows; a first reading finds the names, which no header states."""
    names: dict[str, None] = {}
    for batch in json_batches(path):
        names |= dict.fromkeys(batch.columns)
        require_width(path, len(names))
    nothing = pl.lit(None, pl.String)
    for batch in json_batches(path, marks=True):
        yield batch.select(n if n in batch.columns else nothing.alias(n) for n in names)


def _write(path: Path, batches: Iterator[pl.DataFrame]) -> None:
    from pyarrow import parquet

    writer: parquet.ParquetWriter | None = None
    try:
        for batch in batches:
            rows = batch.to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or parquet.ParquetWriter(path, rows.schema, compression="zstd")
            writer.write_table(rows)
    finally:
        if writer is not None:
            writer.close()
