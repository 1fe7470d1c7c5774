"""What the grading page shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rankfield.serving.failures import Failure
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.grade_address import SORTS, GradeAddress
from rankfield.serving.page.hit_view import hit_values
from rankfield.serving.page.neighbours import neighbours
from rankfield.serving.page.pool import Pooled, pool
from rankfield.serving.page.query_order import (
    Ordered,
    by_disagreement,
    by_ndcg,
    by_unjudged,
    ordered,
)
from rankfield.serving.page.query_set import QuerySet, levels
from rankfield.serving.page.rankings import WAIT
from rankfield.serving.served_index import ServedIndex

__all__ = ["asked_values", "graded_set", "overview_values"]

_SHOWN = 100

_VALUES = {"worst": "nDCG@10", "disagreed": "Disagreement", "unjudged": "Without a grade"}
"""Order → the heading of what it goes by."""


def overview_values(desk: Desk, page: GradeAddress, start: int) -> dict[str, Any]:
    """Return the queries of a set, and how many documents of each this rater and all have judged.

    Raises:
        Failure: no data set, no folder for judgments, or an unknown index.
        DataError: a broken data set.
    """
    indexes, queries = graded_set(desk, page.index)
    counts = desk.grade_book().counts()
    order, searching = _order(desk, page, indexes, queries, wait=WAIT)
    rows = [
        {
            "title": queries.queries[one.query_id].title[:200],
            "address": page.query(one.query_id),
            "own": counts.get(page.rater, {}).get(one.query_id, 0),
            "all": sum(by.get(one.query_id, 0) for by in counts.values()),
            "said": one.said or "–",
        }
        for one in order[start : start + _SHOWN]
    ]
    return {
        "page": page, "rater": page.rater, "error": None, "asked": None, "queries": rows,
        "count": len(order), "value": _VALUES.get(page.sort), "hidden": page.pairs(),
        "unknown": sum(one.value is None for one in order), "searching": searching,
        "sorts": [(replace(page, sort=key).overview(), key, name) for key, name in SORTS.items()],
        **neighbours(start, _SHOWN, len(order), page.overview),
    }  # fmt: skip


def asked_values(desk: Desk, page: GradeAddress, query_id: str, doc_id: str) -> dict[str, Any]:
    """Return a query and what all served models find for it.

    Args:
        desk: of the service.
        page: how it is shown.
        query_id: which query.
        doc_id: the document to begin with, which is shown whether a model finds it or not; "":
            the first that this rater has not judged.

    Raises:
        Failure: as `overview_values`, or an unknown query.
        RankfieldError: as `Searcher.search`.
    """
    indexes, queries = graded_set(desk, page.index)
    query = queries.queries.get(query_id)
    if query is None:
        raise Failure(404, f"there is no query {query_id[:200]!r}", code="unknown_query")
    order = page.rater if page.blind else None
    found = pool(indexes, queries, query, page.k, order, also=doc_id or None)
    judged = desk.grade_book().of(page.rater, query_id)
    digits = levels(queries.scale)
    following = _next(desk, page, indexes, queries, query_id)
    images = {
        served.name: desk.thumbnails.there(
            served.current().index, [one.hit.doc_id for one in found if one.index == served.name]
        )
        for served in indexes
    }
    documents = []
    for place, one in enumerate(found, 1):
        act = judged.get(one.hit.doc_id)
        label = "" if act is None else _label(act.score, digits)
        has_image = one.hit.doc_id in images[one.index]
        shown = _document(desk, one, page.blind, has_image)
        documents.append({**shown, "place": place, "label": label})
    return {
        "page": page, "rater": page.rater, "error": None, "blind": page.blind, "levels": digits,
        "asked": {"query_id": query_id, "title": query.title, "scale": str(queries.scale)},
        "documents": documents, "models": len(indexes), "begin": doc_id,
        "next": page.query(following) if following else None,
        "overview": page.overview(),
        "other": replace(page, blind=not page.blind).query(query_id, doc_id),
    }  # fmt: skip


def graded_set(desk: Desk, index: str | None) -> tuple[list[ServedIndex], QuerySet]:
    """Return the indexes of one data set, the named one first, and the queries to grade.

    Raises:
        Failure, DataError: as `overview_values`.
    """
    service = desk.service
    service.needed_journal()
    named = service.index(index or next(iter(service.indexes)))
    metadata = named.current().index.metadata
    queries = desk.query_set(named.current().index)
    if queries is None:
        raise Failure(
            404,
            f"the data set {metadata.data!r} of this index, whose scale grades are on, is not "
            "where it was",
            code="not_available",
        )
    others = [
        one
        for one in service.indexes.values()
        if one is not named and one.current().index.metadata.data == metadata.data
    ]
    return [named, *others], queries


def _order(
    desk: Desk,
    page: GradeAddress,
    indexes: list[ServedIndex],
    queries: QuerySet,
    *,
    wait: float,
) -> tuple[list[Ordered], int]:
    """Return all queries in the order that the page asks for, and how many are yet searched for."""
    ids = list(queries.queries)
    if page.sort == "given":
        return ordered(ids, {}, descending=False), 0
    grades = desk.grade_book().grades()
    if page.sort == "disagreed":
        return ordered(ids, by_disagreement(grades), descending=True), 0
    worst = page.sort == "worst"
    found = desk.rankings.of(indexes[:1] if worst else indexes, queries, wait)
    searching = len(ids) - min(len(lists) for lists in found.values())
    if worst:
        values = by_ndcg(found[indexes[0].name], grades, page.combining, queries.scale)
    else:
        values = by_unjudged(found, grades)
    return ordered(ids, values, descending=not worst), searching


def _next(
    desk: Desk,
    page: GradeAddress,
    indexes: list[ServedIndex],
    queries: QuerySet,
    query_id: str,
) -> str | None:
    """Return the query to grade after this one, of those that this rater has not judged."""
    done = desk.grade_book().judged_queries(page.rater)
    if page.sort == "given":
        return queries.next_of(query_id, done)
    order, _ = _order(desk, page, indexes, queries, wait=0.0)
    return next((one.query_id for one in order if one.query_id not in {query_id, *done}), None)


def _document(desk: Desk, one: Pooled, blind: bool, has_image: bool) -> dict[str, Any]:
    texts = desk.service.index(one.index).current().index.metadata.text_fields
    seen = "" if blind else ", ".join(f"{by['index']} {by['rank']}" for by in one.found_by)
    return {
        **hit_values(one.hit, texts, has_image),
        "index": one.index,
        "seen": seen,
        "found_by": json.dumps(one.found_by),
    }


def _label(score: float | None, digits: list[tuple[int, float]]) -> str:
    if score is None:
        return "?"
    return next((str(digit) for digit, one in digits if one == score), f"{score:g}")
