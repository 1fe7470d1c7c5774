"""What the grading page shows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from rankfield.serving.failures import Failure
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.hit_view import details_of, title_of
from rankfield.serving.page.pool import Pooled, pool
from rankfield.serving.page.query_set import QuerySet, levels
from rankfield.serving.served_index import ServedIndex

__all__ = ["asked_values", "overview_values"]

_SHOWN = 100


def overview_values(desk: Desk, rater: str, index: str | None, start: int) -> dict[str, Any]:
    """Return the queries of a set, and how many documents of each this rater and all have judged.

    Raises:
        Failure: no data set, no folder for judgments, or an unknown index.
        DataError: a broken data set.
    """
    _, queries = _set(desk, index)
    counts = desk.grade_book().counts()
    shown = list(queries.queries.values())[start : start + _SHOWN]
    rows = [
        {
            "title": one.title[:200],
            "address": _address(rater, one.query_id, index),
            "own": counts.get(rater, {}).get(one.query_id, 0),
            "all": sum(by.get(one.query_id, 0) for by in counts.values()),
        }
        for one in shown
    ]
    after = start + _SHOWN if start + _SHOWN < len(queries.queries) else None
    return {
        "rater": rater, "error": None, "asked": None, "queries": rows, "index": index,
        "count": len(queries.queries),
        "before": _overview(rater, index, max(start - _SHOWN, 0)) if start else None,
        "after": _overview(rater, index, after) if after is not None else None,
    }  # fmt: skip


def asked_values(
    desk: Desk, rater: str, query_id: str, *, index: str | None, k: int, blind: bool
) -> dict[str, Any]:
    """Return a query and what all served models find for it.

    Raises:
        Failure: as `overview_values`, or an unknown query.
        RankfieldError: as `Searcher.search`.
    """
    indexes, queries = _set(desk, index)
    query = queries.queries.get(query_id)
    if query is None:
        raise Failure(404, f"there is no query {query_id[:200]!r}", code="unknown_query")
    found = pool(indexes, queries, query, k, rater if blind else None)
    book = desk.grade_book()
    judged = book.of(rater, query_id)
    digits = levels(queries.scale)
    following = queries.next_of(query_id, book.judged_queries(rater))
    data = desk.data_sets.of(indexes[0].current().index)
    images = desk.thumbnails.there(data, [one.hit.doc_id for one in found])
    documents = []
    for place, one in enumerate(found, 1):
        act = judged.get(one.hit.doc_id)
        label = "" if act is None else _label(act.score, digits)
        has_image = one.hit.doc_id in images
        documents.append({**_document(desk, one, blind, has_image), "place": place, "label": label})
    return {
        "rater": rater, "error": None, "blind": blind, "levels": digits,
        "asked": {"query_id": query_id, "title": query.title, "scale": str(queries.scale)},
        "documents": documents, "models": len(indexes),
        "next": _address(rater, following, index, k, blind) if following else None,
        "overview": _overview(rater, index, 0),
        "other": _address(rater, query_id, index, k, not blind),
    }  # fmt: skip


def _set(desk: Desk, index: str | None) -> tuple[list[ServedIndex], QuerySet]:
    """Return the indexes of one data set, and its queries."""
    service = desk.service
    service.needed_journal()
    named = service.index(index or next(iter(service.indexes)))
    metadata = named.current().index.metadata
    queries = desk.query_set(named.current().index)
    if queries is None:
        raise Failure(
            404,
            f"the data set {metadata.data!r} of this index, whose queries are graded, is not where "
            "it was",
            code="not_available",
        )
    others = service.indexes.values()
    return [one for one in others if one.current().index.metadata.data == metadata.data], queries


def _document(desk: Desk, one: Pooled, blind: bool, has_image: bool) -> dict[str, Any]:
    texts = desk.service.index(one.index).current().index.metadata.text_fields
    seen = "" if blind else ", ".join(f"{by['index']} {by['rank']}" for by in one.found_by)
    return {
        "doc_id": one.hit.doc_id, "index": one.index, "title": title_of(one.hit, texts),
        "details": details_of(one.hit, texts), "has_image": has_image, "seen": seen,
        "found_by": json.dumps(one.found_by),
    }  # fmt: skip


def _label(score: float | None, digits: list[tuple[int, float]]) -> str:
    if score is None:
        return "?"
    return next((str(digit) for digit, one in digits if one == score), f"{score:g}")


def _address(rater: str, query_id: str, index: str | None, k: int = 10, blind: bool = True) -> str:
    values: dict[str, object] = {"rater": rater, "query": query_id}
    if index:
        values["index"] = index
    if k != 10:
        values["k"] = k
    if not blind:
        values["blind"] = 0
    return "/grade?" + urlencode(values)


def _overview(rater: str, index: str | None, start: int) -> str:
    values: dict[str, object] = {"rater": rater}
    if index:
        values["index"] = index
    if start:
        values["start"] = start
    return "/grade?" + urlencode(values)
