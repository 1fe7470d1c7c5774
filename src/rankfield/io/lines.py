"""Text files a line at a time, whole columns at once; every error with its file and line."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from rankfield.errors import DataError
from rankfield.io.table import Table, numbered_lines
from rankfield.io.text import (
    LONGEST,
    not_utf8,
    open_bytes,
    reading,
    require_short_lines,
    unreadable,
)

__all__ = ["read_lines", "split_lines"]

_BLANKS, _TABS = "blanks or tabs", "tabs"
_OTHERS = {",": "commas", ";": "semicolons", "|": "vertical bars", "\t": "tabs", " ": "blanks"}


def read_lines(path: str | Path, *, head: int | None = None) -> Table:
    """Return the lines of a UTF-8 file that are not blank, in the column "text".

    A byte order mark is dropped, gzip is decompressed. With `head`, only so many lines are read.

    Raises:
        DataError: no such file, no line, one of `LONGEST` bytes or more, not UTF-8, or a gzip
            file that is cut off.
    """
    path = Path(path)
    if not path.is_file():
        problem = "expected a file, found a folder" if path.is_dir() else "there is no such file"
        raise DataError(problem, where=str(path), remedy="Look at the spelling of its name.")
    with reading(path), open_bytes(path) as (file, raw):
        if head is not None:
            source: Path | io.BytesIO = io.BytesIO(_head(path, file, head))
        elif file is raw:
            if path.stat().st_size >= LONGEST:
                require_short_lines(path, file)
            source = path
        else:  # polars would decompress it itself, without a limit
            source = io.BytesIO(file.read())
            require_short_lines(path, source)
            source.seek(0)
    try:
        lines = pl.read_lines(source, name="text", glob=False, row_index_name="line", n_rows=head)
    except pl.exceptions.ComputeError:
        raise not_utf8(path) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise unreadable(path, error) from error
    if lines["text"].head(1).str.starts_with("\ufeff").any():
        begin = pl.when(pl.col("line") == 0).then(pl.col("text").str.strip_prefix("\ufeff"))
        lines = lines.with_columns(text=begin.otherwise("text"))
    lines = lines.filter(pl.col("text").str.contains(r"\S"))
    if lines.is_empty():
        raise DataError(
            "expected at least one line, found none",
            where=str(path),
            remedy="Export or fetch the file again.",
        )
    return Table(path, lines.select("text"), numbered_lines(path), lines["line"] + 1)


def _head(path: Path, file: BinaryIO, lines: int) -> bytes:
    found = list(islice(iter(lambda: file.readline(LONGEST), b""), lines))
    head = b"".join(found)
    require_short_lines(path, io.BytesIO(head))
    return head


def split_lines(
    lines: Table, names: Sequence[str], *, tabs: bool = False, rest: bool = False
) -> Table:
    """Return each line split into the columns `names`, all of them text.

    Args:
        lines: as `read_lines` returns them.
        names: one for each column.
        tabs: columns are delimited by one tab each and may be empty (null) or hold blanks; else by
            any number of blanks and tabs.
        rest: the last column is the rest of the line, blanks included.

    Raises:
        DataError: a line with another number of columns.
    """
    value, gap, end = (r"([^\t]*)", r"\t", "") if tabs else (r"([^ \t]+)", r"[ \t]+", r"[ \t]*")
    last = "(.*?)" if rest else value
    pattern = f"^{end}{gap.join([value] * (len(names) - 1) + [last])}{end}$"
    groups = lines.frame["text"].str.extract_groups(pattern).struct.rename_fields(list(names))
    frame = groups.struct.unnest()
    if (row := frame[names[0]].is_null().arg_max()) is not None and frame[names[0]][row] is None:
        raise _other_columns(lines, row, names, tabs=tabs)
    if tabs:
        frame = frame.with_columns(pl.all().replace("", None))
    return lines.with_frame(frame)


def _other_columns(lines: Table, row: int, names: Sequence[str], *, tabs: bool) -> DataError:
    text = lines.frame["text"][row]
    parts = text.split("\t") if tabs else text.split()
    divider = _TABS if tabs else _BLANKS
    remedy = f"Write {len(names)} columns per line, delimited by {divider}."
    for sign, name in _OTHERS.items():
        if name not in divider and len(re.split(re.escape(sign), text)) >= len(names):
            remedy = f"The line seems to be delimited by {name}: delimit it by {divider}."
    return DataError(
        f"expected {len(names)} columns ({', '.join(names)}), found {len(parts)}: {text[:60]!r}",
        where=lines.where(row),
        remedy=remedy,
    )
