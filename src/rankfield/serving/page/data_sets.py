"""The data sets that indexes were built of, as far as they are still where they were."""

from __future__ import annotations

import threading
from pathlib import Path

from rankfield.errors import RankfieldError
from rankfield.index import Index
from rankfield.schema import DatasetFolder

__all__ = ["DataSets"]


class DataSets:
    """Opens the data set of each index once; a table is read when it is needed."""

    def __init__(self) -> None:
        self._found: dict[Path, DatasetFolder | None] = {}
        self._lock = threading.Lock()

    def of(self, index: Index) -> DatasetFolder | None:
        """Return the data set of an index; None where it is not there or damaged."""
        place = index.metadata.data_place(index.folder)
        if place is None:
            return None
        with self._lock:
            if place not in self._found:
                self._found[place] = _loaded(place)
            return self._found[place]


def _loaded(place: Path) -> DatasetFolder | None:
    try:
        return DatasetFolder.load(place)
    except (RankfieldError, OSError):
        return None
