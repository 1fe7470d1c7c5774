"""Snapshots on the disk: results of a query set, each in a folder that is never changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from rankfield.durable import sync, sync_tree
from rankfield.errors import InputError, RankfieldError
from rankfield.evaluation import Results
from rankfield.files import new_folder, read_json_object, remove_unused
from rankfield.metrics import Mean
from rankfield.outputs import storage_errors

__all__ = ["SnapshotInputs", "SnapshotStore", "Summary"]

_FOLDER, _FILE, _GRADES = "snapshots", "results.json", "grades.parquet"
_NAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{8}")


class SnapshotInputs(BaseModel):
    """What a snapshot was taken of: two compare where these are equal.

    index, index_version, model, model_fingerprint, data_fingerprint: what was searched.
    hybrid, diversity, k: how, and how many results were kept of each query.
    query_set, judgments: hashes of the queries that were asked, and of the grades that count.
    asked, of: how many queries, and how many there were.
    only_graded: whether those without a judgment were left out.
    by_raters: how many grades are of raters of the service.
    note: of the one who took it.
    time, seconds: when, and how long it took.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    index: str
    index_version: str
    model: str
    model_fingerprint: str
    data_fingerprint: str
    hybrid: bool
    diversity: float
    k: int
    query_set: str
    judgments: str
    asked: int
    of: int
    only_graded: bool
    by_raters: int
    note: str
    time: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """A snapshot without its tables; where `problem` is not empty, only its id is known."""

    id: str
    name: str = ""
    rankfield: str = ""
    inputs: SnapshotInputs | None = None
    means: Mapping[str, Mean] = field(default_factory=dict)
    problem: str = ""


class _Stored(BaseModel):
    model: str
    rankfield: str
    splits: dict[str, dict[str, Mean]]
    made: dict[str, Any]


class SnapshotStore:
    """The snapshots of a data folder.

    Args:
        folder: that the service keeps (`--data`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _FOLDER
        self._known: dict[str, Summary] = {}
        self._lock = threading.Lock()
        if self._folder.is_dir():  # what was half-written when a service was killed
            for one in self._folder.iterdir():
                if one.name.startswith(".") and _NAME.match(one.name[1:]):
                    remove_unused(one)

    def add(self, results: Results, grades: pl.DataFrame) -> str:
        """Keep a snapshot and return its id; when this returns it is on the disk.

        Args:
            results: with `SnapshotInputs` as ``metadata["snapshot"]``.
            grades: that were used.

        Raises:
            OutputError: it cannot be written; then nothing of it is there.
        """
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{uuid4().hex[:8]}"
        with new_folder(self._folder / name) as temporary:
            results.save(temporary / _FILE)
            grades.write_parquet(temporary / _GRADES)
            for path in temporary.iterdir():
                path.chmod(0o444)
            sync_tree(temporary)
        with storage_errors(self._folder):
            sync(self._folder)
            sync(self._folder.parent)
        return name

    def ids(self) -> list[str]:
        """Return the ids of all, the oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(one.name for one in self._folder.iterdir() if _NAME.fullmatch(one.name))

    def summaries(self) -> list[Summary]:
        """Return what all are, the oldest first."""
        return [self.summary(one) for one in self.ids()]

    def summary(self, snapshot: str) -> Summary:
        """Return what a snapshot is; of a damaged one what is wrong with it."""
        with self._lock:
            if snapshot not in self._known:
                found = self._read(snapshot)
                if found.problem:
                    return found
                self._known[snapshot] = found
            return self._known[snapshot]

    def load(self, snapshot: str) -> Results:
        """Return a snapshot with its tables.

        Raises:
            InputError: there is none of this id, or it is damaged.
        """
        if snapshot not in self.ids():
            raise InputError(f"there is no snapshot {snapshot[:100]!r}", where="query, snapshot")
        try:
            return Results.load(self._folder / snapshot / _FILE)
        except RankfieldError as error:
            raise InputError(
                f"the snapshot {snapshot} cannot be read ({error.problem})", where="query, snapshot"
            ) from None

    def _read(self, snapshot: str) -> Summary:
        try:
            stored = _Stored.model_validate(read_json_object(self._folder / snapshot / _FILE))
            inputs = SnapshotInputs.model_validate(stored.made.get("snapshot"))
        except RankfieldError as error:
            return Summary(snapshot, problem=error.problem)
        except ValidationError as error:
            return Summary(snapshot, problem=error.errors()[0]["msg"])
        means = next(iter(stored.splits.values()), {})
        return Summary(snapshot, stored.model, stored.rankfield, inputs, means)
