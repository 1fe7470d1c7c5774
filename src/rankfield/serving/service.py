"""What all routes share: indexes, the model's thread, keys, limits, files, counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rankfield.closing import Closing
from rankfield.errors import InputError
from rankfield.messages import did_you_mean
from rankfield.serving.batch_thread import BatchThread
from rankfield.serving.failures import Failure
from rankfield.serving.journal import Journal
from rankfield.serving.keys import Keys
from rankfield.serving.limits import Limits
from rankfield.serving.logs import JsonLog
from rankfield.serving.measures import Measures
from rankfield.serving.query_file import read_query_file
from rankfield.serving.served_index import ServedIndex
from rankfield.serving.vector_cache import VectorCache

__all__ = ["Service"]

T = TypeVar("T")

_READERS, _WRITERS = 64, 8


class Service(Closing):
    """Indexes that are served, opened before the first request.

    Args:
        folders: name → folder of an index.
        models: name → folder of its model; by default where it was when the index was built.
        device: where to embed.
        data: folder of what clients report; None: nothing is taken.
        record_queries: keep the texts of searches in that folder, as UBI queries.
        queries: file of the queries to grade; by default those of the indexes' data sets.
        keys: of clients.
        limits: of requests.
        log: takes an event and its values.

    Raises:
        InputError, ModelError, OutputError: an index, a model or the folder cannot be opened.
        DataError: the file of queries cannot be read.
    """

    def __init__(
        self,
        folders: Mapping[str, str | Path],
        *,
        models: Mapping[str, str | Path] | None = None,
        device: str = "cpu",
        data: str | Path | None = None,
        record_queries: bool = False,
        queries: str | Path | None = None,
        keys: Keys | None = None,
        limits: Limits | None = None,
        log: JsonLog | None = None,
    ) -> None:
        if not folders:
            raise InputError("expected an index, found none", where="serve")
        if record_queries and data is None:
            raise InputError("expected a folder for the queries: data", where="record_queries")
        self.keys, self.limits = keys or Keys(), limits or Limits()
        self.log, self.measures = log or JsonLog(), Measures()
        self.record_queries = record_queries
        self.queries = read_query_file(Path(queries)) if queries is not None else []
        self.journal = Journal(data) if data is not None else None
        self.thread, self.cache = BatchThread(), VectorCache(self.limits.cache)
        self.in_progress, self.ready = 0, False
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="rankfield-read")
        # apart: writes wait for each other, and must not hold up searches
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="rankfield-write")
        try:
            self.indexes = {
                name: ServedIndex(
                    name,
                    folder,
                    model=(models or {}).get(name),
                    device=device,
                    thread=self.thread,
                    cache=self.cache,
                    log=self.log,
                )
                for name, folder in folders.items()
            }
        except BaseException:
            self.close()
            raise
        self.places = self._places(data, queries)
        self.ready = True

    def index(self, name: str | None) -> ServedIndex:
        """Return an index by name; it may be left out where there is one.

        Raises:
            Failure: an unknown name, or none where there are several.
        """
        if name is None and len(self.indexes) == 1:
            return next(iter(self.indexes.values()))
        if name is None:
            raise Failure(
                422,
                f"index: expected one of {', '.join(self.indexes)}, found none",
                code="missing_index",
                param="index",
            )
        if name not in self.indexes:
            remedy = did_you_mean(name, self.indexes)
            raise Failure(
                404,
                f"there is no index {name!r}. {remedy}".rstrip(". ") + ".",
                code="unknown_index",
                param="index",
            )
        return self.indexes[name]

    def needed_journal(self) -> Journal:
        """Return the files of what clients report.

        Raises:
            Failure: the service has none.
        """
        if self.journal is None:
            raise Failure(
                404,
                "this service keeps nothing that clients report: start it with --data FOLDER",
                code="not_available",
            )
        return self.journal

    async def read(self, work: Callable[[], T]) -> T:
        """Return what `work` does in another thread; it is given up after the limit's time.

        Raises:
            Failure: it took too long.
        """
        try:
            async with asyncio.timeout(self.limits.timeout):
                return await self._in_thread(self._readers, work)
        except TimeoutError:
            raise Failure(
                504 if self.ready else 503,
                f"not answered within {self.limits.timeout:g} seconds",
                code="timeout",
                headers={"Retry-After": "1"},
            ) from None

    async def write(self, work: Callable[[], T]) -> T:
        """Return what `work` does in another thread; what it began is finished."""
        return await asyncio.shield(self._in_thread(self._writers, work))

    def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> asyncio.Future[T]:
        def counted() -> T:
            with self.thread.request():
                return work()

        return asyncio.get_running_loop().run_in_executor(pool, counted)

    def close(self) -> None:
        """Finish what was accepted."""
        self.ready = False
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=True)
        self.thread.close()
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def _places(self, data: str | Path | None, queries: str | Path | None) -> dict[str, str]:
        """Return path → what messages say in its stead."""
        found: dict[str, str] = {}
        named: list[tuple[str | Path | None, str]] = [(data, "data"), (queries, "queries")]
        for index in self.indexes.values():
            metadata = index.current().index.metadata
            named.append((index.folder, f"index {index.name}"))
            named.append((metadata.model_place(index.folder), f"model {metadata.model}"))
            named.append((metadata.data_place(index.folder), f"data {metadata.data}"))
        for place, said in named:
            if place is not None and str(place) not in ("", "."):
                found |= {str(place): said, str(Path(place).resolve()): said}
        home = str(Path.home())
        return found if home == "/" else {**found, home: "~"}
