"""From an address to what the search page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankfield.errors import InputError
from rankfield.query import Answer, Hit, Query
from rankfield.serving.bodies import check_query
from rankfield.serving.page.address import PagePart, PageQuery
from rankfield.serving.page.columns import (
    MOST_DISTINCT,
    NumberColumn,
    ValueColumn,
    chosen_filter,
)
from rankfield.serving.page.desk import Desk
from rankfield.serving.page.hit_view import hit_values
from rankfield.serving.served_index import Opened

__all__ = ["found_values", "shown_values"]

_LIMIT = 24


def shown_values(desk: Desk, page: PageQuery) -> dict[str, Any]:
    """Return what a page shows before anything is searched for: its form.

    Raises:
        Failure: an unknown index.
    """
    service = desk.service
    served = service.index(page.index or next(iter(service.indexes)))
    opened = served.current()
    values, numbers = desk.columns(served.name, opened)
    metadata = opened.index.metadata
    return {
        "page": page,
        "index": served.name,
        "indexes": list(service.indexes),
        "model": metadata.model,
        "documents": len(opened.index),
        "has_texts": bool(metadata.text_fields),
        "takes_images": "image" in opened.model.encoder.modalities,
        "parts": [_part(desk, page, part) for part in page.parts],
        "value_columns": [_value_column(page, one, None) for one in values],
        "number_columns": [_number_column(page, one) for one in numbers],
        "is_filtered": bool(page.values or page.least or page.most or page.filter),
        "unfiltered": page.address(values={}, least={}, most={}, filter=""),
        "hits": None,
        "error": None,
    }


def found_values(desk: Desk, page: PageQuery) -> dict[str, Any]:
    """Return what a page shows of what it finds.

    Raises:
        RankfieldError: as `Searcher.search`.
        Failure: an unknown index, or larger than the limits.
    """
    service = desk.service
    served = service.index(page.index or next(iter(service.indexes)))
    opened = served.current()
    values, _ = desk.columns(served.name, opened)
    query = _query(desk, page, opened, [one.name for one in values])
    check_query(query, service.limits)
    answer = opened.searcher.search(query)
    explained: Mapping[int, Any] = {}
    if page.explain:
        single: dict[str, Any] = {"limit": 1, "offset": page.explain - 1, "explain": True}
        single |= {"facets": [], "count": False}
        for hit in opened.searcher.search(Query.of(query, **single)).hits:
            explained = {hit.rank: hit.explanation}
    images = desk.thumbnails.there(opened.index, [hit.doc_id for hit in answer.hits])
    end = page.offset + len(answer.hits)
    return {
        "hits": [
            _hit(page, hit, opened, hit.doc_id in images, explained.get(hit.rank))
            for hit in answer.hits
        ],
        "matching": answer.matching,
        "value_columns": [_value_column(page, one, _counts(answer, one.name)) for one in values],
        "milliseconds": sum(answer.milliseconds.values()),
        "version": answer.index_version,
        "first": page.offset + 1,
        "last": end,
        "before": page.address(offset=max(page.offset - _LIMIT, 0)) if page.offset else None,
        "after": page.address(offset=end) if answer.cursor and end < page.order.depth else None,
    }


def _query(desk: Desk, page: PageQuery, opened: Opened, facets: list[str]) -> Query:
    schema = opened.index.documents([]).schema
    parts: list[dict[str, Any]] = [{"text": page.words}] if page.words else []
    for part in page.parts:
        if part.weight:
            parts.append({"weight": part.weight, **_content(desk, part)})
    settings: dict[str, Any] = {
        "filter": chosen_filter(page, schema),
        "limit": max(min(_LIMIT, page.order.depth - page.offset), 1),
        "offset": page.offset,
        "count": True,
        "facets": facets,
        "facet_values": MOST_DISTINCT,
    }
    return Query.of(parts, **settings, **page.order.settings())


def _content(desk: Desk, part: PagePart) -> dict[str, Any]:
    if part.kind != "image":
        return {part.kind: part.content}
    image = desk.image(part.content)
    if image is None:
        raise InputError(
            "the service does not have this image any more",
            where="query, image",
            remedy="Add it again.",
        )
    return {"image": image}


def _part(desk: Desk, page: PageQuery, part: PagePart) -> dict[str, Any]:
    return {
        "kind": part.kind,
        "content": part.content,
        "weight": part.weight,
        "is_there": part.kind != "image" or desk.image(part.content) is not None,
        "without": page.without_part(part),
    }


def _hit(
    page: PageQuery, hit: Hit, opened: Opened, has_image: bool, explanation: Any
) -> dict[str, Any]:
    return {
        **hit_values(hit, opened.index.metadata.text_fields, has_image),
        "rank": hit.rank,
        "score": hit.score,
        "similarity": hit.similarity,
        "explanation": explanation,
        "more": page.with_part("like", hit.doc_id, 0.5),
        "less": page.with_part("like", hit.doc_id, -0.5),
        "why": page.address(offset=page.offset, explain=hit.rank),
        "close": page.address(offset=page.offset),
    }


def _counts(answer: Answer, name: str) -> dict[str, int]:
    facet = answer.facets[name]
    return {_said(value): count for value, count in facet.values}


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value_column(page: PageQuery, column: ValueColumn, counts: Mapping[str, int] | None) -> Any:
    chosen = page.values.get(column.name, ())
    shown = [*column.values, *(one for one in chosen if one not in column.values)]
    values = [
        {"value": v, "count": None if counts is None else counts.get(v, 0), "chosen": v in chosen}
        for v in shown
    ]
    return {"name": column.name, "values": values, "chosen": bool(chosen)}


def _number_column(page: PageQuery, column: NumberColumn) -> Any:
    return {
        "name": column.name,
        "least": page.least.get(column.name, ""),
        "most": page.most.get(column.name, ""),
        "from": f"{column.least:.6g}",
        "to": f"{column.most:.6g}",
    }
