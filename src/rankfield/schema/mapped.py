"""Large data set folders as memory-mapped tables: pages of files, shared by all processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.cache_folder import CacheEntry, cache_entry, temporary_entry
from rankfield.errors import DataError
from rankfield.schema.header import TABLES, Header, check_columns
from rankfield.schema.row_numbers import row_numbers
from rankfield.schema.storing import read_errors

__all__ = ["MAPPED_FROM", "MappedTables", "mapped_tables"]

MAPPED_FROM = 500_000
"""Rows of all tables together from which a data set is mapped; smaller ones are read."""
_KEPT = 16
_FORMAT = 1
"""To be raised when files or derived arrays change: those of former versions are not taken."""
_JUDGED = ("query_rows", "document_rows")
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class MappedTables:
    """The tables of a data set folder in a form that can be mapped, and what is derived of them.

    entry: the Arrow IPC file of each table; "query_rows.npy" and "document_rows.npy", int32 for
        each judgment: the rows of its query and its document, −1 for an unknown id.
    name: of the entry; it says which state of which folder it holds.
    """

    entry: CacheEntry
    name: str

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables, memory-mapped."""
        return {table: _mapped_frame(self.entry.file(f"{table}.arrow")) for table in TABLES}

    def judged_rows(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the rows of each judgment's query and document, memory-mapped."""
        query, document = (_mapped(self.entry.file(f"{name}.npy")) for name in _JUDGED)
        return query, document

    def derived(self, what: str | None, make: Callable[[], Arrays]) -> Arrays:
        """Return arrays that depend on the tables and on `what` alone, memory-mapped.

        They are kept beside the tables; of all that is kept so, the newest 16.

        Args:
            what: all else that they depend on; other texts have other arrays. None: they depend
                on more than can be said, and are kept for this process alone.
            make: computes them, by name, unless they are kept.
        """

        def write(folder: Path) -> None:
            for array, values in make().items():
                np.save(folder / f"{array}.npy", values)

        if what is None:
            entry = temporary_entry(write)
        else:
            key = hashlib.sha256(what.encode()).hexdigest()[:12]
            entry = cache_entry(f"{self.name}-{key}", write, siblings=(f"{self.name}-", _KEPT))
        found = {path.stem: _mapped(path) for path in sorted(entry.path.glob("*.npy"))}
        return _Held(found, entry)

    def text(self, what: str, make: Callable[[], str]) -> str:
        """Return a text that depends on the tables and on `what` alone; kept as `derived` does."""

        def letters() -> Arrays:
            return {"text": np.frombuffer(make().encode(), dtype=np.uint8)}

        return bytes(self.derived(what, letters)["text"]).decode()


class _Held(dict[str, NDArray[Any]]):
    """Arrays and their entry: a temporary one goes when nothing refers to it any more."""

    def __init__(self, arrays: Arrays, entry: CacheEntry) -> None:
        super().__init__(arrays)
        self.entry = entry


def mapped_tables(header: Header, root: Path, files: Mapping[str, Path]) -> MappedTables | None:
    """Return the mapped tables of a data set folder; None of a small one, or of images as bytes.

    They are made in the cache at the first use of each state of the folder: of its tables' sizes
    and times of change.

    Args:
        header: of the folder.
        root: the folder.
        files: table → its Parquet file, looked at by `require_table`.

    Raises:
        DataError: a table is broken or lacks a column.
        OutputError: nothing can be written, not even a temporary folder.
    """
    rows = 0
    for table, path in files.items():
        with read_errors(path):
            scanned = pl.scan_parquet(path, glob=False)
            schema = scanned.collect_schema()
            rows += int(scanned.select(pl.len()).collect().item())
        check_columns(str(root), table, schema, header.fields(table))
        if any(dtype in (pl.Binary, pl.List(pl.Binary)) for dtype in schema.dtypes()):
            return None
    if rows < MAPPED_FROM:
        return None
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    name = f"tables-{place}-{_state(files)}"
    try:
        entry = cache_entry(name, lambda folder: _write(folder, files), family=f"tables-{place}-")
    except _RepeatedIdError:  # the check of the tables that are read says which
        return None
    return MappedTables(entry, name)


class _RepeatedIdError(Exception):
    """A table has an id twice."""


def _state(files: Mapping[str, Path]) -> str:
    said: list[object] = [_FORMAT, pl.__version__]
    for table in TABLES:
        found = files[table].stat()
        said.append([table, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns])
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _write(folder: Path, files: Mapping[str, Path]) -> None:
    for table, path in files.items():
        with read_errors(path):
            pl.scan_parquet(path, glob=False).sink_ipc(
                folder / f"{table}.arrow",
                compression="uncompressed",
                compat_level=pl.CompatLevel.newest(),  # views, which need no copy
                maintain_order=True,
                engine="streaming",
            )
    for key, table, name in zip(
        ("query_id", "doc_id"), ("queries", "documents"), _JUDGED, strict=True
    ):
        ids = pl.scan_ipc(folder / "judgments.arrow", glob=False).select(key).collect()[key]
        known = pl.scan_ipc(folder / f"{table}.arrow", glob=False).select(key).collect()[key]
        try:
            rows = row_numbers(ids, known)
        except DataError:
            raise _RepeatedIdError from None
        np.save(folder / f"{name}.npy", rows.astype(np.int32))


def _mapped_frame(path: Path) -> pl.DataFrame:
    """Return a table of an Arrow file without a copy: polars itself would read it into memory."""
    import pyarrow as pa

    frame = pl.from_arrow(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    assert isinstance(frame, pl.DataFrame)
    lazy = pl.scan_ipc(path, glob=False)
    other = [n for n, dtype in lazy.collect_schema().items() if frame.schema[n] != dtype]
    return frame.with_columns(lazy.select(other).collect()) if other else frame


def _mapped(path: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found
