"""Parquet files of others: what they hold once decoded is found before they are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.expansion import allowed_bytes, require_expansion
from rankfield.paths import require_regular

__all__ = ["decoded_bytes", "read_parquet", "require_bounded"]

_BYTES = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_DICTIONARY = {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}
_measured: dict[tuple[str, int, int, int], int] = {}


def read_parquet(path: Path, *, remedy: str = "") -> pl.DataFrame:
    """Read a Parquet file into memory.

    Raises:
        DataError: it is broken, or holds far more than its size (`expansion.allowed_bytes`).
    """
    try:
        require_bounded(path)
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        problem = f"not a readable Parquet file ({error})"
        raise DataError(problem, where=str(path), remedy=remedy) from error


def require_bounded(path: Path) -> None:
    """Look whether a Parquet file may be read: a few kilobytes can hold a text a million times.

    Raises:
        DataError: it is no regular file, or holds more than `allowed_bytes`.
        OSError: there is no such file, or it is broken.
    """
    require_expansion(path, decoded_bytes(path), require_regular(path, DataError))


def decoded_bytes(path: Path) -> int:
    """Return about how many bytes the columns of a Parquet file take in memory.

    What the file says of itself is enough where it cannot exceed what is allowed; texts that are
    stored once and repeated are counted, in a stream. A file is looked at once.

    Raises:
        OSError: the file is broken.
    """
    state = path.stat()
    key = (os.path.realpath(path), state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _measured:
        _measured[key] = _measure(path, state.st_size)
    return _measured[key]


def _measure(path: Path, size: int) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        stored, repeated = _stated(path, metadata)
        if stored > allowed_bytes(size) or not repeated:
            return stored
        return stored + _counted(path, repeated)
    except (
        *(pa.ArrowException, ValueError),
        *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    ) as error:
        raise OSError(" ".join(str(error).split())[:300]) from error


def _stated(path: Path, metadata: Any) -> tuple[int, set[str]]:
    """Return the bytes that the file states, and the columns whose texts may be repeated."""
    total, most = 0, 0
    names: set[str] = set()
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for place in range(rows.num_columns):
                chunk = rows.column(place)
                fixed = chunk.num_values * _BYTES.get(chunk.physical_type, 1)
                total += max(chunk.total_uncompressed_size, fixed)
                if chunk.physical_type in _BYTES or not _DICTIONARY & set(chunk.encodings):
                    continue
                entry = _dictionary_bytes(file, chunk)
                most += chunk.num_values * entry
                if chunk.num_values * entry > 1 << 20:
                    names.add(chunk.path_in_schema.split(".")[0])
    size = path.stat().st_size
    return total, names if total + most > allowed_bytes(size) else set()


def _dictionary_bytes(file: Any, chunk: Any) -> int:
    """Return the size of a chunk's dictionary, which no entry can exceed.

    A page begins with its type, its size and its compressed size, in Thrift's compact protocol.
    """
    whole: int = chunk.total_uncompressed_size
    offset = chunk.dictionary_page_offset
    if offset is None:
        return whole
    file.seek(offset)
    values: list[int] = []
    head, at = file.read(32), 0
    while len(values) < 2 and at < len(head) and head[at] == 0x15:
        at, value, shift = at + 1, 0, 0
        while at < len(head):
            value |= (head[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not head[at - 1] & 0x80:
                break
        values.append(value >> 1)  # zigzag; none is negative
    return values[1] if len(values) == 2 and values[0] == 2 else whole


def _counted(path: Path, names: set[str]) -> int:
    """Return the bytes of the texts of these columns; each is looked at and forgotten."""
    table = pl.scan_parquet(path, glob=False)
    sizes = []
    for name, dtype in table.collect_schema().items():
        if name not in names:
            continue
        column, inner = pl.col(name), dtype
        while isinstance(inner, pl.List | pl.Array):
            column, inner = column.explode(), inner.inner  # type: ignore[assignment]
        if inner == pl.String:
            sizes.append(column.str.len_bytes().cast(pl.UInt64).sum())
        elif inner == pl.Binary:
            sizes.append(column.bin.size().cast(pl.UInt64).sum())
    found = [table.select(size.alias("size")).collect(engine="streaming").item() for size in sizes]
    return sum(int(size or 0) for size in found)
