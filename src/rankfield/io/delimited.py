"""CSV and TSV files of millions of rows, a batch at a time and without a loop over rows."""

from __future__ import annotations

import codecs
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.io.tables import DELIMITERS, read_header, text_batches
from rankfield.io.text import is_packed, table_suffix
from rankfield.progress import progress

__all__ = ["csv_batches", "csv_columns"]

_BLOCK = 16 << 20


def csv_columns(path: Path) -> list[str]:
    """Return the names in the header.

    Raises:
        DataError: not UTF-8, empty, delimited by something else, or a name occurs twice.
    """
    return read_header(path)


def csv_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows as text, null where there is nothing: what `read_table` reads, but faster.

    Args:
        path: a file ending in .csv or .tsv, UTF-8 with or without a byte order mark.
        columns: those to keep; all by default.

    Raises:
        DataError: the file is broken; says at which row.
    """
    import pyarrow as pa

    header = csv_columns(path)
    kept = [name for name in header if columns is None or name in columns]
    rows = 0
    if not is_packed(path) and _header_is_first(path) and _quotes_are_paired(path):
        try:
            for frame in _parsed(path, header, kept):
                rows += frame.height
                yield frame
        except pa.ArrowInvalid:
            pass  # the slow reader names the row
        else:
            return
    for frame in text_batches(path):
        yield frame.select(kept).slice(rows)
        rows = max(rows - frame.height, 0)


def _header_is_first(path: Path) -> bool:
    """Return whether the header is the first line, ended by a line feed, as `_parsed` takes it."""
    with path.open("rb") as file:
        first = file.readline()
    text = first.rstrip(b"\r\n")
    return bool(text.strip()) and text.count(b'"') % 2 == 0 and b"\r" not in text


def _quotes_are_paired(path: Path) -> bool:
    """Return whether quotes open where a value begins and close where it ends.

    A parser that is fast is lenient as well: after a quote that is never closed it takes what
    follows for one long value.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        whole = np.frombuffer(data, dtype=np.uint8)
        try:
            return _paired(whole, ord(DELIMITERS[table_suffix(path)]))
        finally:
            del whole  # the map cannot be closed before


def _paired(data: NDArray[np.uint8], delimiter: int) -> bool:
    ends = np.zeros(256, dtype=bool)
    ends[[ord('"'), delimiter, ord("\n"), ord("\r")]] = True
    first = 3 if data[:3].tobytes() == codecs.BOM_UTF8 else 0
    count = 0
    for start in range(0, len(data), _BLOCK):
        at = start + np.flatnonzero(data[start : start + _BLOCK] == ord('"'))
        opens = (count + np.arange(len(at))) % 2 == 0
        before = at[opens & (at > first)] - 1
        after = at[~opens & (at < len(data) - 1)] + 1
        if not (ends[data[before]].all() and ends[data[after]].all()):
            return False
        count += len(at)
    return count % 2 == 0


def _parsed(path: Path, header: list[str], kept: list[str]) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    from pyarrow import csv

    with path.open("rb") as file:
        file.readline()
        if file.tell() == path.stat().st_size:
            return
        reader: Any = csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=_BLOCK, column_names=header),
            parse_options=csv.ParseOptions(
                delimiter=DELIMITERS[table_suffix(path)], newlines_in_values=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=kept,
                strings_can_be_null=False,
            ),
        )
        with progress(f"reading {path.name}", path.stat().st_size >> 20, unit="MB") as advance:
            read = 0
            for batch in reader:
                frame = pl.DataFrame(pl.from_arrow(batch))
                yield frame.select(pl.when(pl.col(c) != "").then(pl.col(c)) for c in kept)
                advance((file.tell() >> 20) - read)
                read = file.tell() >> 20
