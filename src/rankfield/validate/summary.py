"""What a data set holds, in figures."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from rankfield.schema import Tables

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True)
class Summary:
    """What a data set holds.

    `scores` is the distribution as (from, to, count): one entry for each distinct score where
    there are at most 12, else 10 bins of equal width, each without its upper end but the last.
    `never_judged` counts documents without a judgment.
    """

    queries: int
    documents: int
    judgments: int
    never_judged: int
    judgments_per_query: float
    scores: tuple[tuple[float, float, int], ...]


def summarise(dataset: Tables) -> Summary:
    """Return the counts of a data set and the distribution of its finite scores."""
    judged = dataset.frame("judgments", ["doc_id"])["doc_id"].unique().implode()
    documents = dataset.frame("documents", ["doc_id"])
    never = documents.select((~pl.col("doc_id").is_in(judged)).sum()).item()
    queries = dataset.frame("judgments", ["query_id"])["query_id"].n_unique()
    judgments = dataset.height("judgments")
    return Summary(
        queries=dataset.height("queries"),
        documents=documents.height,
        judgments=judgments,
        never_judged=int(never),
        judgments_per_query=judgments / max(queries, 1),
        scores=_distribution(dataset.frame("judgments", ["score"])["score"].drop_nulls()),
    )


def _distribution(scores: pl.Series) -> tuple[tuple[float, float, int], ...]:
    scores = scores.filter(scores.is_finite())
    if scores.is_empty():
        return ()
    distinct = scores.value_counts().sort("score") if scores.n_unique() <= 12 else None
    if distinct is not None:
        return tuple((value, value, count) for value, count in distinct.rows())
    low, high = float(scores.min()), float(scores.max())  # type: ignore[arg-type]
    width = (high - low) / 10
    bins = ((scores - low) / width).floor().clip(0, 9).cast(pl.Int64)
    counts = dict(bins.value_counts().rows())
    return tuple((low + i * width, low + (i + 1) * width, counts.get(i, 0)) for i in range(10))
