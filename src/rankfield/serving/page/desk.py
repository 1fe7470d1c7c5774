"""What the pages of a service share."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from rankfield.index import Index
from rankfield.serving.journal import JUDGMENTS
from rankfield.serving.page.byte_cache import ByteCache
from rankfield.serving.page.columns import NumberColumn, ValueColumn, offered_columns
from rankfield.serving.page.data_sets import DataSets
from rankfield.serving.page.grade_book import GradeBook
from rankfield.serving.page.known_grades import KnownGrades
from rankfield.serving.page.query_set import QuerySet
from rankfield.serving.page.rankings import Rankings
from rankfield.serving.page.snapshot_job import SnapshotJob
from rankfield.serving.page.snapshot_store import SnapshotStore
from rankfield.serving.page.thumbnails import Thumbnails
from rankfield.serving.served_index import Opened
from rankfield.serving.service import Service

__all__ = ["Desk"]

_IMAGES = 64 << 20

Columns = tuple[list[ValueColumn], list[NumberColumn]]


class Desk:
    """Data sets, small images, images that were sent, columns to filter by, queries to grade.

    Raises:
        DataError: the service's own queries do not fit a data set.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.data_sets = DataSets()
        self.thumbnails = Thumbnails(self.data_sets)
        self.grades = KnownGrades(service.journal.folder if service.journal else None)
        self.job = SnapshotJob(service)
        self._snapshots = SnapshotStore(service.journal.folder) if service.journal else None
        self._images = ByteCache(_IMAGES)
        self._columns: dict[str, tuple[str, Columns]] = {}
        self._book: GradeBook | None = None
        self._sets: dict[Path, QuerySet] = {}
        self.rankings = Rankings(service)
        self._lock = threading.Lock()
        if service.queries:  # a query that does not fit its data set is said before it is served
            for served in service.indexes.values():
                self.query_set(served.current().index)

    def keep_image(self, image: bytes) -> str:
        """Keep an image that was sent, in memory, and return its SHA-256: its place in addresses.

        The 64 MiB that were used last stay, while the service runs.
        """
        key = hashlib.sha256(image).hexdigest()
        self._images.put(key, image)
        return key

    def image(self, key: str) -> bytes | None:
        """Return an image that was sent."""
        return self._images.get(key)

    def grade_book(self) -> GradeBook:
        """Return who judged what.

        Raises:
            Failure: the service keeps no judgments.
        """
        path = self.service.needed_journal().folder / JUDGMENTS
        with self._lock:
            if self._book is None:
                self._book = GradeBook(path)
            return self._book

    def snapshots(self) -> SnapshotStore:
        """Return the snapshots.

        Raises:
            Failure: the service has no folder for them.
        """
        self.service.needed_journal()
        assert self._snapshots is not None
        return self._snapshots

    def query_set(self, index: Index) -> QuerySet | None:
        """Return the queries to grade with an index; None where its data set is not there.

        Raises:
            DataError: it is broken, or the service's own queries do not fit it.
        """
        data = self.data_sets.of(index)
        if data is None:
            return None
        with self._lock:
            if data.root not in self._sets:
                self._sets[data.root] = QuerySet(data, self.service.queries)
            return self._sets[data.root]

    def columns(self, name: str, opened: Opened) -> Columns:
        """Return the columns that an index offers to filter by, found once for each version."""
        version = opened.index.version
        with self._lock:
            known = self._columns.get(name)
            if known is None or known[0] != version:
                documents = opened.index.documents()
                known = (version, offered_columns(documents, opened.index.metadata.text_fields))
                self._columns[name] = known
            return known[1]
