"""How many of the nearest documents an index finds whose first pass or store may miss some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rankfield.index.base import Index, Vectors

__all__ = ["SHARES", "measured_recall"]

SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)
"""Of the documents that a filter keeps."""


def measured_recall(
    index: Index,
    queries: Vectors,
    *,
    k: int = 10,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
) -> Mapping[float, float]:
    """Return the mean share of the k nearest documents that a search finds, by filter.

    recall@k = |found ∩ nearest| / |nearest|, over the queries that have a nearest document; the
    nearest ones are those of an exact search. A filter keeps documents that are drawn at random.

    Args:
        index: the index.
        queries: float32 (Q, D).
        k: how many documents.
        shares: which share of the documents each filter keeps.
        seed: of the draw.
    """
    ids, rng = index.documents()["doc_id"].to_numpy(), np.random.default_rng(seed)
    found = {}
    for share in shares:
        kept = None if share == 1 else set(ids[rng.random(len(ids)) < share])
        pairs = [
            set(index.search(queries, k, kept, exact=exact).select("query", "doc_id").rows())
            for exact in (False, True)
        ]
        nearest = np.bincount([query for query, _ in pairs[1]], minlength=len(queries))
        hits = np.bincount([query for query, _ in pairs[0] & pairs[1]], minlength=len(queries))
        asked = nearest > 0
        found[share] = float((hits[asked] / nearest[asked]).mean()) if asked.any() else 1.0
    return found
