"""Judgment lists of OpenSearch's Search Relevance Workbench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.formats.judgment_lists.ratings import Ratings
from rankfield.io.json_documents import text_of
from rankfield.io.table import Table

__all__ = ["judgment_list", "search_relevance_ratings", "search_relevance_source"]


def search_relevance_source(content: Any) -> list[Any] | None:
    """Return the `judgmentRatings` of a request, of the answer to a GET, or of a bare list."""
    if isinstance(content, list):
        return (
            content if content and isinstance(content[0], dict) and "query" in content[0] else None
        )
    if not isinstance(content, dict):
        return None
    found = content.get("judgmentRatings")
    hits = content.get("hits")
    if isinstance(hits, dict) and isinstance(hits.get("hits"), list):
        sources = [hit.get("_source") for hit in hits["hits"] if isinstance(hit, dict)]
        lists = [
            s["judgmentRatings"] for s in sources if isinstance(s, dict) and "judgmentRatings" in s
        ]
        found = [rating for each in lists if isinstance(each, list) for rating in each] or None
    return found if isinstance(found, list) else None


def search_relevance_ratings(path: Path, entries: list[Any]) -> tuple[Table, Table]:
    """Read [{"query", "ratings": [{"docId", "rating"}]}]; ratings are numbers or texts of them.

    The list has no ids of queries: equal texts are one query, q1, q2 … in order.

    Raises:
        DataError: something is missing, no text or no number; with its place in the list.
    """
    found, ids = Ratings(path), dict[str, str]()
    for i, entry in enumerate(entries):
        place = f"judgmentRatings[{i}]"
        ratings = entry.get("ratings") if isinstance(entry, dict) else None
        if not isinstance(ratings, list):
            raise DataError(
                "expected {query, ratings: […]}",
                where=f"{path}, {place}",
                remedy="See docs/formats.md for the layout.",
            )
        text = text_of(entry.get("query"), f"{path}, {place}, 'query'")
        query_id = ids.setdefault(text, f"q{len(ids) + 1}")
        found.queries[query_id] = text
        for j, rating in enumerate(ratings):
            at = f"{place}.ratings[{j}]"
            if not isinstance(rating, dict):
                raise DataError(
                    "expected {docId, rating}",
                    where=f"{path}, {at}",
                    remedy="See docs/formats.md for the layout.",
                )
            doc_id = text_of(rating.get("docId"), f"{path}, {at}, 'docId'")
            found.add(query_id, doc_id, rating.get("rating"), at)
    return found.tables()


def judgment_list(name: str, queries: pl.DataFrame, judgments: pl.DataFrame) -> dict[str, Any]:
    """Return the body of PUT _plugins/_search_relevance/judgments.

    Args:
        name: of the list.
        queries: query_id, query; no two with the same text.
        judgments: query_id, doc_id, score.

    Raises:
        DataError: two queries with the same text, which the list could not tell apart.
    """
    judged = queries.join(judgments.select("query_id"), on="query_id", how="semi")
    twice = judged["query"].is_duplicated()
    if twice.any():
        raise DataError(
            f"two queries have the text {judged['query'][int(twice.arg_max() or 0)]!r}",
            where="queries",
            remedy="Remove one, or export with kind=rank-eval or kind=ltr, which keep ids.",
        )
    texts = dict(queries.select("query_id", "query").iter_rows())
    entries = [
        {
            "query": texts[query_id],
            "ratings": [
                {"docId": doc_id, "rating": repr(score)}
                for doc_id, score in part.select("doc_id", "score").iter_rows()
            ],
        }
        for (query_id,), part in judgments.group_by("query_id", maintain_order=True)
    ]
    return {"name": name, "type": "IMPORT_JUDGMENT", "judgmentRatings": entries}
