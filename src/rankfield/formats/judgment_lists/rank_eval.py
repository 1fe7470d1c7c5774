"""Requests of the ranking evaluation API (`_rank_eval`) of Elasticsearch and OpenSearch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.formats.judgment_lists.ratings import Ratings
from rankfield.io.json_documents import text_of
from rankfield.io.table import Table

__all__ = ["rank_eval_ratings", "rank_eval_request"]

_TEXT_QUERIES = (
    *("match", "match_phrase", "match_phrase_prefix", "match_bool_prefix", "term", "prefix"),
    *("fuzzy", "semantic", "text_expansion", "neural", "sparse_vector"),
)
_TEXT_KEYS = ("query", "query_text", "model_text", "value")


def rank_eval_ratings(path: Path, content: Any, notes: list[str]) -> tuple[Table, Table]:
    """Read {"requests": [{"id", "request" or "params", "ratings": [{_index, _id, rating}]}]}.

    The text of a query is the one text that its request searches for (match, multi_match,
    query_string, …) or the one text among its template's params; else its id.

    Raises:
        DataError: something is missing, no text or no number; with its place in the document.
    """
    found, by_id, indices = Ratings(path), 0, set()
    for i, request in enumerate(_list(path, content.get("requests"), "'requests'")):
        place = f"requests[{i}]"
        if not isinstance(request, dict):
            raise _expected(path, "an object", place)
        query_id = text_of(request.get("id"), f"{path}, {place}, 'id'")
        if query_id in found.queries:
            raise DataError(
                f"the id {query_id!r} occurs more than once",
                where=f"{path}, {place}",
                remedy="Give every request its own id.",
            )
        text = _query_text(request)
        by_id += text is None
        found.queries[query_id] = text or query_id
        for j, rating in enumerate(_list(path, request.get("ratings"), f"{place}, 'ratings'")):
            at = f"{place}.ratings[{j}]"
            if not isinstance(rating, dict):
                raise _expected(path, "an object", at)
            indices.add(rating.get("_index"))
            doc_id = text_of(rating.get("_id"), f"{path}, {at}, '_id'")
            found.add(query_id, doc_id, rating.get("rating"), at)
    if by_id:
        notes.append(f"queries: {by_id:,} request(s) hold no single text; their id is the query")
    if len(indices) > 1:
        shown = ", ".join(sorted(map(str, indices)))
        notes.append(f"judgments: of several indices ({shown}); ids are taken as one namespace")
    return found.tables()


def rank_eval_request(
    queries: pl.DataFrame, judgments: pl.DataFrame, *, index: str, field: str
) -> dict[str, Any]:
    """Return the body of a `_rank_eval` request that measures nDCG@10 of a match query.

    Args:
        queries: query_id, query.
        judgments: query_id, doc_id, score.
        index: of every document.
        field: the one that the match query searches.

    Raises:
        DataError: a score that is no whole number of 0 or more, which the API refuses.
    """
    scores = judgments["score"]
    wrong = (scores != scores.floor()) | (scores < 0) | (scores >= 2**31)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(
            f"the ranking evaluation API takes whole ratings of 0 or more, found {scores[row]:g}",
            where=f"judgments, row {row} (counted from 0), column 'score'",
            remedy="Export with kind=opensearch or kind=ltr, which keep fractions.",
        )
    texts = dict(queries.select("query_id", "query").iter_rows())
    requests = [
        {
            "id": query_id,
            "request": {"query": {"match": {field: texts[query_id]}}},
            "ratings": [
                {"_index": index, "_id": doc_id, "rating": int(score)}
                for doc_id, score in part.select("doc_id", "score").iter_rows()
            ],
        }
        for (query_id,), part in judgments.group_by("query_id", maintain_order=True)
    ]
    return {"requests": requests, "metric": {"dcg": {"k": 10, "normalize": True}}}


def _query_text(request: dict[str, Any]) -> str | None:
    params = request.get("params")
    texts = set(_searched(request.get("request")))
    if not texts and isinstance(params, dict):
        texts = {value for value in params.values() if isinstance(value, str) and value}
    return texts.pop() if len(texts) == 1 else None


def _searched(node: Any) -> Iterator[str]:
    """Yield the texts that a query searches for."""
    if isinstance(node, list):
        for item in node:
            yield from _searched(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _TEXT_QUERIES and isinstance(value, dict):
            for below in value.values():
                inner = below if isinstance(below, dict) else {"query": below}
                yield from (inner[k] for k in _TEXT_KEYS if isinstance(inner.get(k), str))
        elif key == "query" and isinstance(value, str):
            yield value
        else:
            yield from _searched(value)


def _list(path: Path, value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _expected(path, "a list", what)
    return value


def _expected(path: Path, kind: str, place: str) -> DataError:
    return DataError(
        f"expected {kind}", where=f"{path}, {place}", remedy="See docs/formats.md for the layout."
    )
