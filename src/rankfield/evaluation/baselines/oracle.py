"""The best ranking that the judgments allow: the upper bound of every metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["oracle_ranking"]


def oracle_ranking(*, k: int = 1000) -> Callable[[SplitView], Hits]:
    """Return a search that gives each query its judged documents by falling score, at most k.

    Equal scores are in the order of the document rows; ``Hits.similarities`` is the score. Unjudged
    documents are not retrieved. nDCG is 1 where it is defined, unless a judged document is not in
    the corpus.
    """

    def search(view: SplitView) -> Hits:
        queries = view.queries.select("query_id").with_row_index("query")
        documents = view.documents.select("doc_id").with_row_index("document")
        found = (
            view.judgments.select("query_id", "doc_id", "score")
            .join(queries, on="query_id")
            .join(documents, on="doc_id")
            .sort("query", "score", "document", descending=[False, True, False])
        )
        rows = found["query"].cast(pl.Int64).to_numpy()
        counts = np.bincount(rows, minlength=queries.height)
        ranks = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (queries.height, min(k, int(counts.max(initial=0))))
        indices = np.full(shape, -1, dtype=np.int64)
        scores = np.full(shape, -np.inf, dtype=np.float32)
        inside = ranks < shape[1]
        places = rows[inside], ranks[inside]
        indices[places] = found["document"].to_numpy()[inside]
        scores[places] = found["score"].to_numpy()[inside]
        return Hits(indices, scores)

    return search
