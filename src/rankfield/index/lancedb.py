"""LanceDB, embedded in the process, as the store of an index: https://lancedb.com."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from rankfield.errors import InputError
from rankfield.extras import needs_extra
from rankfield.index.base import Vectors
from rankfield.index.candidates import CandidateIndex, Candidates, Keys
from rankfield.index.metadata import IndexMetadata
from rankfield.messages import first_line

__all__ = ["LanceIndex"]

_INSIDE = "lancedb"
"""The folder in an index of which nothing else is said."""
_TRAINED_FROM = 65_536
"""Fewer rows are looked at one by one."""
_UNINDEXED = 0.05
"""So large a share of rows may be outside LanceDB's index, which scans them."""
_PROBES = 40
_KEPT = timedelta(minutes=10)
"""Versions of the table that other readers may still read."""


class LanceIndex(CandidateIndex):
    """The `Index` for which LanceDB proposes documents: an inverted file, RaBitQ codes."""

    name: ClassVar[str] = "lancedb"

    @classmethod
    def open_store(cls, folder: Path, metadata: IndexMetadata) -> Candidates:
        """Return the table of an index, as `CandidateIndex.open_store`."""
        place = metadata.store_place or str(folder / _INSIDE)
        return _Table(place, metadata.store_name or "vectors", metadata.dimension)

    @classmethod
    def check_store(cls, metadata: IndexMetadata) -> None:  # noqa: ARG003
        """Refuse to go on without LanceDB, as `CandidateIndex.check_store`."""
        _lancedb()


def _lancedb() -> Any:
    with needs_extra("serve", "lancedb is not installed", where="store lancedb"):
        import lancedb
    return lancedb


class _Table:
    def __init__(self, place: str, name: str, dimension: int) -> None:
        lancedb = _lancedb()
        self._place, self._name = place, name
        key = pa.field(
            "key",
            pa.int64(),
            nullable=False,
            # Without it concurrent writers make one key several rows.
            metadata={"lance-schema:unenforced-primary-key": "true"},
        )
        self._schema = pa.schema([key, pa.field("vector", pa.list_(pa.float32(), dimension))])
        with self._works():
            self._base = lancedb.connect(place, read_consistency_interval=timedelta(0))
            self._table = self._opened()

    @contextmanager
    def _works(self) -> Iterator[None]:
        """Turn LanceDB's errors into ours."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            reason = first_line(error)[:200]
            raise InputError(
                f"LanceDB refuses or cannot open it ({reason})", where=self._place
            ) from error

    def _opened(self) -> Any:
        """Return the table; an unreadable one is replaced, for the index holds all of it."""
        if self._name in self._base.list_tables(limit=10_000).tables:
            try:
                table = self._base.open_table(self._name)
                table.count_rows()
            except (OSError, RuntimeError, ValueError):
                self._base.drop_table(self._name)
            else:
                return table
        return self._base.create_table(self._name, schema=self._schema)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Write vectors, as `Candidates.add`."""
        if not len(keys):
            return
        values = pa.array(np.ascontiguousarray(vectors).ravel())
        column = pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        rows = pa.table([pa.array(keys), column], schema=self._schema)
        known = self.count(int(keys.min()), int(keys.max()) + 1)
        with self._works():
            if not known:
                self._table.add(rows)
                return
            merge = self._table.merge_insert("key").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)

    def remove(self, keys: Keys) -> None:
        """Remove vectors, as `Candidates.remove`."""
        with self._works():
            for part in _runs(keys):
                self._table.delete(part)

    def count(self, first: int, last: int) -> int:
        """Return the number of keys, as `Candidates.count`."""
        with self._works():
            return int(self._table.count_rows(f"key >= {first:d} AND key < {last:d}"))

    def nearest(self, vector: Vectors, count: int) -> Keys:
        """Return the nearest, as `Candidates.nearest`."""
        with self._works():
            query = self._table.search(np.asarray(vector, dtype=np.float32)).distance_type("dot")
            # Without a largest number LanceDB goes on to other partitions while rows are missing.
            query = query.minimum_nprobes(_PROBES).maximum_nprobes(_PROBES).limit(count)
            found: Keys = query.select(["key", "_distance"]).to_arrow()["key"].to_numpy()
        return found

    def finish(self) -> None:
        """Train the inverted file of a table that is large enough, or take new rows into it."""
        from lancedb.index import IvfFlat, IvfRq

        with self._works():
            rows = self._table.count_rows()
            if rows < _TRAINED_FROM:
                return
            known = list(self._table.list_indices())
            if not known:
                kind = IvfFlat if self._schema.field("vector").type.list_size % 8 else IvfRq
                self._table.create_index("vector", config=kind(distance_type="dot"))
            elif self._table.index_stats(known[0].name).num_unindexed_rows > _UNINDEXED * rows:
                self._table.optimize(cleanup_older_than=_KEPT)

    def drop(self) -> None:
        """Remove the table."""
        with self._works():
            self._base.drop_table(self._name)


def _runs(keys: Keys) -> list[str]:
    """Return conditions that hold for these keys alone, each of up to 1,000 runs or keys."""
    if not len(keys):
        return []
    keys = np.sort(keys)
    breaks = np.flatnonzero(np.diff(keys) != 1) + 1
    runs = np.stack([keys[np.r_[0, breaks]], keys[np.r_[breaks - 1, len(keys) - 1]]], axis=1)
    parts = []
    for start in range(0, len(runs), 1000):
        part = runs[start : start + 1000]
        single = [str(int(a)) for a, b in part if a == b]
        whole = [f"(key >= {a:d} AND key <= {b:d})" for a, b in part if a != b]
        parts.append(" OR ".join([*whole, *([f"key IN ({', '.join(single)})"] if single else [])]))
    return parts
