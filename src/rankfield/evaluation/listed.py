"""Ranked lists that are known already, as hits."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["listed_hits"]


def listed_hits(view: SplitView, pairs: pl.DataFrame, k: int) -> Hits:
    """Return the at most k best documents of each query, by descending score.

    Equal scores are in the order of the document rows; a pair whose query or document the split
    lacks is left out.

    Args:
        view: the split.
        pairs: ``query_id``, ``doc_id``, ``score``; each pair once.
        k: how many documents a query gets.
    """
    queries = view.queries.select("query_id").with_row_index("query")
    documents = view.documents.select("doc_id").with_row_index("document")
    found = (
        pairs.select("query_id", "doc_id", "score")
        .join(queries, on="query_id")
        .join(documents, on="doc_id")
        .sort("query", "score", "document", descending=[False, True, False])
    )
    rows = found["query"].cast(pl.Int64).to_numpy()
    counts = np.bincount(rows, minlength=queries.height)
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (queries.height, min(k, int(counts.max(initial=0))))
    hits = Hits.nothing(*shape)
    inside = ranks < shape[1]
    places = rows[inside], ranks[inside]
    hits.indices[places] = found["document"].to_numpy()[inside]
    hits.similarities[places] = found["score"].to_numpy()[inside]
    return hits
