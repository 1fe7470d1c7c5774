"""What the served indexes find for all queries of a set, searched for beside the requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rankfield.errors import RankfieldError
from rankfield.query import Query
from rankfield.serving.page.query_set import GradedQuery, QuerySet
from rankfield.serving.served_index import ServedIndex
from rankfield.serving.service import Service

__all__ = ["DEPTH", "WAIT", "Rankings"]

DEPTH = 10
"""How many results of a query are kept."""

WAIT = 0.3
"""Seconds that a list waits for what is not there yet."""


@dataclass
class _Known:
    """Query → ids of the first results, of one version of an index and one set."""

    version: str
    queries: QuerySet
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Rankings:
    """The first results of every query, kept for each version of an index.

    The first look begins to search, one query after the other, in a thread for each index, so that
    requests are answered in between. Each look returns what is there by then. A thread ends when
    all is found or the service stops.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._lock = service, threading.Lock()
        self._known: dict[str, _Known] = {}
        self._threads: dict[str, threading.Thread] = {}

    def of(
        self, indexes: Sequence[ServedIndex], queries: QuerySet, wait: float
    ) -> dict[str, Mapping[str, Sequence[str]]]:
        """Return index → query → ids of the first results, as far as they are known.

        A query that cannot be searched for, such as one whose image is gone, finds nothing.

        Args:
            indexes: which.
            queries: which.
            wait: at most so many seconds for what is not known yet.
        """
        with self._lock:
            known = {served.name: self._of_version(served, queries) for served in indexes}
            started = [
                self._started(served, queries)
                for served in indexes
                if len(known[served.name].found) < len(queries.queries)
            ]
        until = time.monotonic() + wait
        for thread in started:
            thread.join(max(until - time.monotonic(), 0.0))
        with self._lock:
            return {name: dict(one.found) for name, one in known.items()}

    def _started(self, served: ServedIndex, queries: QuerySet) -> threading.Thread:
        thread = self._threads.get(served.name)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=self._work, args=(served, queries), daemon=True)
            self._threads[served.name] = thread
            thread.start()
        return thread

    def _of_version(self, served: ServedIndex, queries: QuerySet) -> _Known:
        version, known = served.current().index.version, self._known.get(served.name)
        if known is None or known.version != version or known.queries is not queries:
            known = self._known[served.name] = _Known(version, queries)
        return known

    def _work(self, served: ServedIndex, queries: QuerySet) -> None:
        for query in queries.queries.values():
            if self._stopped():
                return
            with self._lock:
                known = self._of_version(served, queries)
            if query.query_id in known.found:
                continue
            try:
                found = _first(served, queries, query)
            except RuntimeError:
                if self._stopped():  # meanwhile
                    return
                raise
            with self._lock:
                known.found[query.query_id] = found

    def _stopped(self) -> bool:
        return not self._service.ready


def _first(served: ServedIndex, queries: QuerySet, query: GradedQuery) -> tuple[str, ...]:
    try:
        answer = served.current().searcher.search(Query.of([queries.part(query)], limit=DEPTH))
    except RankfieldError:
        return ()
    return tuple(hit.doc_id for hit in answer.hits)
