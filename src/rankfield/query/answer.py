"""What a query finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from rankfield.column_names import free_name
from rankfield.query.counting import Facet
from rankfield.query.explanation import Explanation
from rankfield.query.plain import plain_value

__all__ = ["Answer", "Hit"]

_ADDED = ("rank", "score", "similarity")


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    rank: from 1, over all pages.
    doc_id: its id.
    score: what orders the results, the largest first; of a query of parts alone the similarity.
    similarity: exact inner product with the query's vector, the cosine.
    document: its stored columns.
    others: of a query that collapses, how many other matching documents are in its group.
    explanation: of a query that asks for it.
    """

    rank: int
    doc_id: str
    score: float
    similarity: float
    document: Mapping[str, Any]
    others: int | None = None
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        found: dict[str, Any] = {
            "rank": self.rank,
            "doc_id": self.doc_id,
            "score": self.score,
            "similarity": self.similarity,
            "document": {name: plain_value(value) for name, value in self.document.items()},
        }
        if self.others is not None:
            found["others"] = self.others
        if self.explanation is not None:
            found["explanation"] = self.explanation.to_json()
        return found


@dataclass(frozen=True)
class Answer:
    """A page of results, and what belongs to it.

    hits: best first.
    cursor: of the next page; None where this is the last.
    matching: how many documents match, if the query counts, collapses or has facets: those with a
        vector that the filter lets through, that are not left out as liked or excluded, and that
        reach the cut-off. In a hybrid query they need not share a word.
    facets: column → counts over the matching documents.
    documents: the stored columns of the hits.
    index_version, model_fingerprint: of what was searched.
    milliseconds: what took how long.
    """

    hits: tuple[Hit, ...]
    cursor: str | None
    matching: int | None
    facets: Mapping[str, Facet]
    documents: pl.DataFrame = field(repr=False)
    index_version: str
    model_fingerprint: str
    milliseconds: Mapping[str, float]

    def frame(self) -> pl.DataFrame:
        """Return ``rank``, ``score`` and ``similarity`` before the stored columns of the hits.

        A column that is called so too becomes ``source_rank`` and so on.
        """
        names = self.documents.columns
        foreign = {n: free_name(n, [*names, *_ADDED]) for n in _ADDED if n in names}
        return pl.DataFrame(
            {
                "rank": pl.Series([hit.rank for hit in self.hits], dtype=pl.Int64),
                "score": pl.Series([hit.score for hit in self.hits], dtype=pl.Float64),
                "similarity": pl.Series([hit.similarity for hit in self.hits], dtype=pl.Float64),
            }
        ).hstack(self.documents.rename(foreign))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "hits": [hit.to_json() for hit in self.hits],
            "cursor": self.cursor,
            "matching": self.matching,
            "facets": {
                name: {
                    "values": [
                        {"value": plain_value(value), "count": count}
                        for value, count in facet.values
                    ],
                    "others": facet.others,
                }
                for name, facet in self.facets.items()
            },
            "index_version": self.index_version,
            "model_fingerprint": self.model_fingerprint,
            "milliseconds": dict(self.milliseconds),
        }
