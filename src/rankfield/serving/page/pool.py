"""What all served models find for a query, in an order that says nothing of theirs."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from typing import Any

from rankfield.query import Hit, Query
from rankfield.serving.page.query_set import GradedQuery, QuerySet
from rankfield.serving.page.stored_hit import stored_hit
from rankfield.serving.served_index import ServedIndex

__all__ = ["Pooled", "pool"]


@dataclass
class Pooled:
    """A document to judge.

    hit: as the first index that finds it does.
    found_by: index, index_version, model_fingerprint and rank of each that finds it.
    """

    hit: Hit
    index: str
    found_by: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The best rank; beyond all where no model finds it."""
        return min((int(one["rank"]) for one in self.found_by), default=sys.maxsize)


def pool(
    indexes: list[ServedIndex],
    queries: QuerySet,
    query: GradedQuery,
    k: int,
    rater: str | None,
    *,
    also: str | None = None,
) -> list[Pooled]:
    """Return the first k results of each index, once each.

    Args:
        indexes: which.
        queries: of which `query` is one.
        query: what is searched for.
        k: how many results of each.
        rater: whose order it is: shuffled, and always the same for one rater and query; None: by
            the best rank.
        also: id of a document that is judged too, whether a model finds it or not.

    Raises:
        RankfieldError: as `Searcher.search`.
    """
    found: dict[str, Pooled] = {}
    asked = Query.of([queries.part(query)], limit=k)
    for served in indexes:
        answer = served.current().searcher.search(asked)
        for hit in answer.hits:
            pooled = found.setdefault(hit.doc_id, Pooled(hit, served.name))
            pooled.found_by.append(
                {
                    "index": served.name,
                    "index_version": answer.index_version,
                    "model_fingerprint": answer.model_fingerprint,
                    "rank": hit.rank,
                }
            )
    if also is not None and also not in found and (stored := stored_hit(indexes, also)):
        served, hit = stored
        found[also] = Pooled(hit, served.name)
    if rater is None:
        return sorted(found.values(), key=lambda one: one.best)
    return sorted(found.values(), key=lambda one: _order(rater, query.query_id, one.hit.doc_id))


def _order(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()
