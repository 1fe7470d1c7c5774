"""From an address to what the comparison of several models or settings shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from rankfield.metrics import measure
from rankfield.query import Hit, Query
from rankfield.serving.bodies import check_query
from rankfield.serving.failures import Failure
from rankfield.serving.page.compare_address import MOST, Column, CompareQuery
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.hit_view import hit_values
from rankfield.serving.page.measured import judged_lists
from rankfield.serving.page.movement import Movement, movements, overlap
from rankfield.serving.page.order import Order
from rankfield.serving.page.query_set import QuerySet
from rankfield.serving.served_index import Opened

__all__ = ["compare_form", "compared_values"]

_DEPTH = 100
"""How deep ranks in the other lists are known."""
_LETTERS = "ABCD"
_MEASURED = 10


@dataclass(frozen=True)
class _Asked:
    """A query: its title, its part of a search, and its id and neighbours in the set."""

    title: str
    part: Mapping[str, Any]
    query_id: str | None


@dataclass(frozen=True)
class _Wanted:
    """An address with all its columns, the query set of the first, and what is asked, if any."""

    page: CompareQuery
    queries: QuerySet | None
    asked: _Asked | None


def compare_form(desk: Desk, page: CompareQuery) -> dict[str, Any]:
    """Return what the page shows before anything is searched for: its form, and where to begin.

    Raises:
        Failure: an unknown index, or an unknown query of the set.
        DataError: a broken data set.
    """
    return _form(desk, _resolved(desk, page))


def compared_values(desk: Desk, page: CompareQuery) -> dict[str, Any]:
    """Return what the page shows: its form, and the answers if anything is searched for.

    Raises:
        RankfieldError: as `Searcher.search`.
        Failure: as `compare_form`, or larger than the limits.
    """
    wanted = _resolved(desk, page)
    form = _form(desk, wanted)
    return form if wanted.asked is None else form | _answered(desk, wanted, wanted.asked)


def _form(desk: Desk, wanted: _Wanted) -> dict[str, Any]:
    columns = [*wanted.page.columns, *[None] * (MOST - len(wanted.page.columns))]
    asked = wanted.asked
    return {
        "page": wanted.page,
        "title": asked.title if asked else "",
        "query_id": (asked.query_id if asked else None) or "",
        "indexes": list(desk.service.indexes),
        "rows": [
            {"number": number, "letter": letter, "column": column}
            for number, (letter, column) in enumerate(zip(_LETTERS, columns, strict=True), 1)
        ],
        **_steps(wanted),
        "columns": None,
        "error": None,
    }


def _answered(desk: Desk, wanted: _Wanted, asked: _Asked) -> dict[str, Any]:
    page = wanted.page
    answers = [_hits(desk, column, asked) for column in page.columns]
    lists = [[hit.doc_id for hit in hits] for hits in answers]
    moved = movements(lists, page.k)
    grades = _grades(desk, page, asked)
    measures = _measures(lists, grades, wanted.queries)
    columns = []
    for at, column in enumerate(page.columns):
        shown = [hit for hit in answers[at] if hit.doc_id in moved[at]]
        columns.append(
            {
                "letter": _LETTERS[at],
                "label": str(column),
                "column": column,
                **_summary(lists, moved, at, page.k),
                **measures[at],
                "hits": _rows(desk, column, shown, moved[at], grades),
            }
        )
    return {
        "columns": columns,
        "depth": _DEPTH,
        "is_graded": bool(grades),
        "by_raters": sum(by_raters for _, by_raters in grades.values()),
        "judged": len(grades),
        "several_sets": len({_opened(desk, one).index.metadata.data for one in page.columns}) > 1,
    }


def _resolved(desk: Desk, page: CompareQuery) -> _Wanted:
    page = _with_columns(desk, page)
    queries = _set(desk, page)
    return _Wanted(page, queries, _asked(queries, page))


def _with_columns(desk: Desk, page: CompareQuery) -> CompareQuery:
    """Return what is asked for, with columns where the address names none."""
    if page.columns:
        return page
    names = list(desk.service.indexes)
    if len(names) > 1:
        columns = [Column(name) for name in names[:MOST]]
    else:
        has_texts = bool(_opened(desk, Column(names[0])).index.metadata.text_fields)
        other = Order(hybrid=True) if has_texts else Order(diversity=0.3)
        columns = [Column(names[0]), Column(names[0], other)]
    return CompareQuery(page.words, page.query_id, page.k, tuple(columns))


def _opened(desk: Desk, column: Column) -> Opened:
    return desk.service.index(column.index).current()


def _set(desk: Desk, page: CompareQuery) -> QuerySet | None:
    """Return the query set of the first column."""
    for column in page.columns:
        desk.service.index(column.index)
    return desk.query_set(_opened(desk, page.columns[0]).index)


def _asked(queries: QuerySet | None, page: CompareQuery) -> _Asked | None:
    if page.is_empty:
        return None
    known = queries.queries if queries is not None else {}
    named = known.get(page.query_id)
    if page.query_id and not page.words and named is None:
        raise Failure(404, f"there is no query {page.query_id[:200]!r}", code="unknown_query")
    if page.words and (named is None or named.title != page.words):
        named = next((one for one in known.values() if one.text == page.words), None)
    if named is None or queries is None:
        return _Asked(page.words, {"text": page.words}, None)
    return _Asked(named.title, queries.part(named), named.query_id)


def _steps(wanted: _Wanted) -> dict[str, Any]:
    """Return which query of the set this is, and the addresses of those beside it."""
    ids = [] if wanted.queries is None else list(wanted.queries.queries)
    asked = wanted.asked
    at = ids.index(asked.query_id) if asked is not None and asked.query_id in ids else None

    def address(place: int) -> str | None:
        if not 0 <= place < len(ids):
            return None
        return wanted.page.address(words="", query_id=ids[place])

    return {
        "count": len(ids),
        "place": None if at is None else at + 1,
        "before": None if at is None else address(at - 1),
        "after": address(0 if at is None else at + 1),
    }


def _hits(desk: Desk, column: Column, asked: _Asked) -> tuple[Hit, ...]:
    query = Query.of([asked.part], limit=_DEPTH, **column.order.settings())
    check_query(query, desk.service.limits)
    return _opened(desk, column).searcher.search(query).hits


def _grades(desk: Desk, page: CompareQuery, asked: _Asked) -> dict[str, tuple[float, bool]]:
    """Return document → its score, and whether raters of this service gave it."""
    if asked.query_id is None:
        return {}
    data = desk.data_sets.of(_opened(desk, page.columns[0]).index)
    found = desk.grades.of(data, [asked.query_id])
    return {doc: (score, by) for _, doc, score, by in found.iter_rows()}


def _measures(
    lists: list[list[str]], grades: Mapping[str, tuple[float, bool]], queries: QuerySet | None
) -> list[dict[str, Any]]:
    """Return nDCG@10 of each list, None where nothing relevant is judged, and how many are."""
    if not grades or queries is None:
        return [{"ndcg": None, "judged_here": 0, "measured": 0} for _ in lists]
    names = [str(at) for at in range(len(lists))]
    rows = [(name, doc, score) for name in names for doc, (score, _) in grades.items()]
    judgments = pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")
    run = judged_lists(dict(zip(names, lists, strict=True)), judgments)
    values = measure(f"nDCG@{_MEASURED}", run.rankings, queries.scale)
    return [
        {
            "ndcg": None if math.isnan(value) else float(value),
            "judged_here": sum(doc in grades for doc in one[:_MEASURED]),
            "measured": len(one[:_MEASURED]),
        }
        for value, one in zip(values, lists, strict=True)
    ]


def _summary(
    lists: list[list[str]], moved: list[dict[str, Movement]], at: int, k: int
) -> dict[str, Any]:
    return {
        "in_all": sum(one.in_all for one in moved[at].values()),
        "only_here": sum(one.only_here for one in moved[at].values()),
        "overlaps": [
            {"letter": _LETTERS[other], "overlap": overlap(lists[at], lists[other], k)}
            for other in range(len(lists))
            if other != at
        ],
    }


def _rows(
    desk: Desk,
    column: Column,
    hits: list[Hit],
    moved: Mapping[str, Movement],
    grades: Mapping[str, tuple[float, bool]],
) -> list[dict[str, Any]]:
    opened = _opened(desk, column)
    texts = opened.index.metadata.text_fields
    images = desk.thumbnails.there(opened.index, [hit.doc_id for hit in hits])
    return [
        {
            **hit_values(hit, texts, hit.doc_id in images),
            "score": hit.score,
            "moved": moved[hit.doc_id],
            "grade": grades[hit.doc_id][0] if hit.doc_id in grades else None,
            "ranks": list(zip(_LETTERS, moved[hit.doc_id].ranks, strict=False)),
        }
        for hit in hits
    ]
