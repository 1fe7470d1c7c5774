"""The figures of BEIR's evaluation (beir.retrieval.evaluation 2.2), from hits and judgments.

BEIR counts in whole grades and calls a document relevant if its grade is above 0. nDCG, MAP, recall
and precision are trec_eval's, which orders documents of equal similarity by descending doc_id; MRR,
Hole and Accuracy keep them in the order of the hits. A hit whose doc_id equals the query_id is
dropped, as BEIR does by default. A query without anything relevant counts 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from rankfield.evaluation.join_judgments import join_judgments
from rankfield.metrics import (
    JudgedRankings,
    average_precision,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = [
    "beir_mean",
    "beir_values",
    "custom_values",
    "in_trec_order",
    "trec_values",
    "without_identical",
]

_RELEVANT = 1.0


def beir_values(view: SplitView, hits: Hits, cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    """Return BEIR's name ("NDCG@10", "MAP@10", "Recall@10", "P@10", "MRR@10") → values, (Q,).

    Args:
        view: the queries, the corpus, and judgments whose scores are whole numbers.
        hits: what was found; row q belongs to row q of ``view.queries``.
        cutoffs: at which ranks to measure.

    Raises:
        DataError: as `join_judgments`.
    """
    hits = without_identical(view, hits)
    rankings = join_judgments(view, hits)
    values = trec_values(in_trec_order(view, hits, rankings), cutoffs)
    custom = custom_values(rankings, cutoffs)
    return {**values, **{name: custom[name] for name in custom if name.startswith("MRR")}}


def beir_mean(values: FloatArray) -> float:
    """Return the mean over queries, rounded to five decimals as BEIR does; 0 of no queries."""
    # BEIR adds one query after the other; another order can round to the other side.
    total = float(np.cumsum(values)[-1]) if len(values) else 0.0
    return round(total / max(len(values), 1), 5)


def trec_values(rankings: JudgedRankings, cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    """Return what BEIR takes from trec_eval; `rankings` are in trec_eval's order."""
    found = {
        "NDCG": ndcg(rankings, cutoffs, _gain),
        "MAP": average_precision(rankings, cutoffs, _RELEVANT),
        "Recall": recall(rankings, cutoffs, _RELEVANT),
        "P": precision(rankings, cutoffs, _RELEVANT),
    }
    return _named(found, cutoffs)


def custom_values(
    rankings: JudgedRankings, cutoffs: Sequence[int], unannotated: FloatArray | None = None
) -> dict[str, FloatArray]:
    """Return BEIR's own MRR, Accuracy (1 if anything relevant is within k) and Hole.

    Args:
        rankings: in the order of the hits.
        cutoffs: at which ranks to measure.
        unannotated: float64 (Q, K), 1 where the hit is judged for no query at all, 0 else; Hole is
            their share of k. None leaves it out.
    """
    ranks = reciprocal_rank(rankings, cutoffs, _RELEVANT)
    found = {"MRR": ranks, "Accuracy": (ranks > 0).astype(np.float64)}
    if unannotated is not None:
        running = np.cumsum(unannotated, axis=1)
        holes = running.T[np.minimum(cutoffs, running.shape[1]) - 1]
        found["Hole"] = holes / np.array(cutoffs)[:, None]
    return _named(found, cutoffs)


def without_identical(view: SplitView, hits: Hits) -> Hits:
    """Return the hits without documents whose id is that of their query; those behind move up."""
    rows = view.queries.select("query_id").join(
        view.documents.select(pl.col("doc_id").alias("query_id")).with_row_index("row"),
        on="query_id",
        how="left",
        maintain_order="left",
    )["row"]
    own = rows.cast(pl.Int64).fill_null(-2).to_numpy()
    same = hits.indices == own[:, None]
    if not same.any():
        return hits
    order = np.argsort(same, axis=1, kind="stable")
    gone = np.sort(same, axis=1)
    indices = np.take_along_axis(hits.indices, order, axis=1)
    scores = np.take_along_axis(hits.similarities, order, axis=1)
    return Hits(np.where(gone, -1, indices), np.where(gone, -np.inf, scores).astype(np.float32))


def in_trec_order(view: SplitView, hits: Hits, rankings: JudgedRankings) -> JudgedRankings:
    """Return `rankings`, made from `hits`, with equal similarities by descending doc_id."""
    equal = (hits.similarities[:, 1:] == hits.similarities[:, :-1]) & (hits.indices[:, 1:] >= 0)
    rows = np.flatnonzero(equal.any(axis=1))
    if not rows.size:
        return rankings
    used, places = np.unique(hits.indices[rows], return_inverse=True)
    ids = view.documents["doc_id"].gather(np.maximum(used, 0))
    # Ids compare by their bytes, as trec_eval's strcmp and polars do.
    later = ids.rank("dense").to_numpy().astype(np.int64)[places.reshape(len(rows), -1)]
    later = np.where(hits.indices[rows] >= 0, later, 0)
    order = np.lexsort((-later, -hits.similarities[rows]), axis=1)
    scores = rankings.scores.copy()
    scores[rows] = np.take_along_axis(scores[rows], order, axis=1)
    return JudgedRankings(scores, rankings.lengths, rankings.ideal_offsets, rankings.ideal_scores)


def _gain(scores: FloatArray) -> FloatArray:
    return np.maximum(scores, 0.0)


def _named(found: Mapping[str, FloatArray], cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    return {
        f"{family}@{cutoff}": np.nan_to_num(column)
        for family, columns in found.items()
        for cutoff, column in zip(cutoffs, columns, strict=True)
    }
