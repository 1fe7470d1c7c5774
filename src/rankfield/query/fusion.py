"""Two ranked lists as one."""

from __future__ import annotations

import numpy as np

from rankfield.query.candidates import Candidates
from rankfield.query.query import Hybrid
from rankfield.query.view import Rows

__all__ = ["fused", "normalised_similarities", "reciprocal_ranks", "unfused"]

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Similarities = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def unfused(rows: Rows, similarity: Similarities) -> Candidates:
    """Return the hits of the vector arm alone, best first: score = similarity."""
    count = len(rows)
    ranks = np.zeros((count, 2), dtype=np.int64)
    ranks[:, 0] = np.arange(1, count + 1)
    arms = np.zeros((count, 2))
    arms[:, 0] = similarity
    return _candidates(rows, similarity, np.zeros(count), ranks, arms)


def fused(
    hybrid: Hybrid, rows: Rows, similarity: Similarities, bm25: Floats, ranks: Ints
) -> Candidates:
    """Return the hits of both arms with their score, arm by arm.

    "rrf" (Cormack, Clarke, Büttcher 2009): weight / (k + rank). "weighted": weight · the arm's
    normalised score, which is `normalised_similarities`, or BM25 over the largest.

    Args:
        hybrid: how to fuse.
        rows: (n,), what either arm found.
        similarity: float32 (n,).
        bm25: float64 (n,).
        ranks: int64 (n, 2), of the vector and the text arm, from 1; 0 where it found none.
    """
    weights = np.array([hybrid.weights.vector, hybrid.weights.text])
    if hybrid.fusion == "rrf":
        arms = weights * reciprocal_ranks(ranks, hybrid.k)
    else:
        largest = float(np.max(bm25, initial=0.0, where=ranks[:, 1] > 0))
        text = np.where(ranks[:, 1] > 0, bm25, 0.0) / (largest or 1.0)
        vector = normalised_similarities(similarity, ranks[:, 0] > 0)
        arms = weights * np.stack([vector, text], axis=1)
    return _candidates(rows, similarity, bm25, ranks, arms)


def reciprocal_ranks(ranks: Ints, k: int) -> Floats:
    """Return 1 / (k + rank), 0 where the rank is 0."""
    return np.where(ranks > 0, 1.0 / (k + ranks), 0.0)


def normalised_similarities(similarity: Similarities, found: Bools) -> Floats:
    """Return (s − least) / (largest − least) over the documents found; 0 of others, 1 if all equal.

    Args:
        similarity: float32 (n,).
        found: bool (n,).
    """
    values = similarity.astype(np.float64)
    if not found.any():
        return np.zeros(len(values))
    low, high = values[found].min(), values[found].max()
    scaled = (values - low) / (high - low) if high > low else np.ones(len(values))
    return np.where(found, scaled, 0.0)


def _candidates(
    rows: Rows, similarity: Similarities, bm25: Floats, ranks: Ints, arms: Floats
) -> Candidates:
    count = len(rows)
    return Candidates(
        rows=rows,
        similarity=similarity,
        bm25=bm25,
        ranks=ranks,
        arms=arms,
        boosts=np.zeros((count, 0)),
        score=arms[:, 0] + arms[:, 1],
        penalty=np.zeros(count),
        like=np.full(count, -1, dtype=np.int64),
        like_similarity=np.zeros(count),
    )
