"""The published evaluation of GCL (marqo-ai/GCL, evals/eval_gs_v1.py), its quirks included.

- Scores are rescaled, min–max over all judgments of the test table, to whole grades 1–100.
- 2,000 queries are drawn without replacement in proportion to their summed grades, by pandas'
  ``sample(random_state=1)``.
- A query's ground truth is its best 1,000 judged documents; 1,000 are retrieved.
- ERR takes R = (2^g − 1) / 2^g_max with the highest grade of each query and all retrieved
  documents, so that only documents near a query's best count. RBP takes g / g_max.
- nDCG, MAP, recall, precision, MRR, Hole and Accuracy are BEIR's, rounded to five decimals.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.beir import (
    beir_mean,
    custom_values,
    in_trec_order,
    trec_values,
    without_identical,
)
from rankfield.evaluation.join_judgments import join_judgments
from rankfield.metrics import JudgedRankings, err, rbp
from rankfield.metrics.rankings import FloatArray, IntArray
from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = [
    "CUTOFFS",
    "DEPTH",
    "PERSISTENCES",
    "QUERIES",
    "SEED",
    "TEXT_KEY",
    "TEXT_MARK",
    "marqo_gs_figures",
    "marqo_gs_mean",
    "marqo_gs_metrics",
    "marqo_gs_values",
    "marqo_gs_view",
    "sampled_queries",
    "whole_grades",
]

CUTOFFS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 500, 1000)
DEPTH = 1000
"""The script's --top-k: how many documents are retrieved, and judged at most, for a query."""
QUERIES = 2000
"""The script's --top-q: how many test queries are drawn."""
SEED = 1
"""Pandas' ``random_state`` for the draw."""
TEXT_KEY = "query"
TEXT_MARK = "_{!@#~}_"
"""The script's --left-keys in the published runs, and what it puts behind the text."""
PERSISTENCES = {"mRBP7": 0.7, "mRBP8": 0.8, "mRBP9": 0.9}

_GROUPS = {
    "mAP": "MAP",
    "ndcg": "NDCG",
    "precision": "P",
    "recall": "Recall",
    "mrr": "MRR",
    "hole": "Hole",
    "acc": "Accuracy",
}
"""Key in the script's output.json → BEIR's name of the figures under it."""


def marqo_gs_metrics(
    view: SplitView, hits: Hits, *, depth: int = DEPTH
) -> dict[str, dict[str, float]]:
    """Return what the script writes to output.json: group → figure → mean over the queries.

    Groups: mAP, ndcg, precision, recall, mrr, hole, acc, each at `CUTOFFS`, and summary (the values
    of which the script puts into lists of one).

    Args:
        view: test queries, corpus, judgments with whole grades: what `marqo_gs_view` returns.
        hits: the `depth` best documents of each query, in the order of ``view.queries``.
        depth: the script's --top-k.

    Raises:
        DataError: as `join_judgments`.
    """
    return marqo_gs_figures(marqo_gs_values(view, hits, depth=depth), depth=depth)


def marqo_gs_view(
    view: SplitView, *, queries: int = QUERIES, depth: int = DEPTH, seed: int = SEED
) -> SplitView:
    """Return the split as the script sees it: sampled queries, whole grades, cut ground truth.

    The queries are in the script's order, by summed grade, the largest first. The draw goes by the
    order of what the script calls a query: the text of the column `TEXT_KEY` with `TEXT_MARK`
    behind it where ``view.queries`` has such a column, as in the published runs, else the query_id
    (the script's --query-id-key).

    Args:
        view: a split with float scores.
        queries: the script's --top-q; −1 takes all.
        depth: the script's --top-k.
        seed: pandas' ``random_state``.

    Raises:
        DataError: no judgment, or a score that is not finite.
    """
    scores = view.judgments["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if not scores.size or not np.isfinite(scores).all():
        raise DataError(
            "expected judgments with finite scores",
            where=f"split {view.name}",
            remedy="Run `rankfield check --fix`.",
        )
    judgments = view.judgments.with_columns(score=pl.Series(whole_grades(scores)))
    names = sampled_queries(judgments, _script_names(view.queries), count=queries, seed=seed)
    order = pl.DataFrame({"query_id": names})
    truth = _cut(judgments.join(order, on="query_id", how="semi"), depth)
    asked = order.join(view.queries, on="query_id", how="inner", maintain_order="left")
    return SplitView(view.name, asked.select(view.queries.columns), view.documents, truth)


def whole_grades(scores: FloatArray) -> IntArray:
    """Return int(99 · (score − min) / (max − min) + 1), 1 … 100; all 1 where min = max."""
    low, high = scores.min(), scores.max()
    if low == high:
        return np.ones(len(scores), dtype=np.int64)
    grades: IntArray = (((scores - low) / (high - low)) * 99 + 1).astype(np.int64)
    return grades


def sampled_queries(
    judgments: pl.DataFrame,
    names: pl.DataFrame | None = None,
    *,
    count: int = QUERIES,
    seed: int = SEED,
) -> list[str]:
    """Return min(count, all) query ids, drawn in proportion to their summed scores.

    The draw is that of pandas' ``frame.groupby(query_id).sum().sample(n, weights=…,
    random_state=seed)``: the groups are in the order of their names, and numpy's legacy generator
    draws. Then they are sorted by sum, the largest first.

    Args:
        judgments: ``query_id`` and ``score`` > 0.
        names: ``query_id`` and ``name``, by which queries are ordered; by default the ids.
        count: how many; −1 takes all.
        seed: of the draw.
    """
    sums = judgments.group_by("query_id").agg(pl.col("score").sum())
    if names is None:
        sums = sums.sort("query_id")
    else:
        sums = sums.join(names, on="query_id", how="left").sort("name", "query_id")
    weights = sums["score"].cast(pl.Float64).to_numpy()
    size = sums.height if count == -1 else min(count, sums.height)
    random = np.random.RandomState(seed)
    drawn = random.choice(sums.height, size=size, replace=False, p=weights / weights.sum())
    ordered = drawn[_descending(sums["score"].to_numpy()[drawn])]
    found: list[str] = sums["query_id"].gather(ordered).to_list()
    return found


def marqo_gs_values(view: SplitView, hits: Hits, *, depth: int = DEPTH) -> dict[str, FloatArray]:
    """Return figure → value of each query, (Q,): BEIR's names, "mERR", "mRBP7" … "mRBP9".

    Args:
        view, hits, depth: as `marqo_gs_metrics`.

    Raises:
        DataError: as `join_judgments`.
    """
    hits = Hits(hits.indices[:, :depth], hits.similarities[:, :depth])
    if _script_names(view.queries) is None:  # a text with its mark is never a document's id
        hits = without_identical(view, hits)
    rankings = join_judgments(view, hits)
    cutoffs = [k for k in CUTOFFS if k <= depth]
    values = trec_values(in_trec_order(view, hits, rankings), cutoffs)
    values |= custom_values(rankings, cutoffs, _unannotated(view, hits))
    best = _best_grades(rankings)
    values["mERR"] = err(rankings, depth, _itself, best[:, None])
    for name, persistence in PERSISTENCES.items():
        values[name] = rbp(rankings, depth, _itself, persistence=persistence) / best
    return values


def marqo_gs_mean(name: str, values: FloatArray) -> float:
    """Return a figure's mean over the queries, rounded where BEIR rounds it."""
    return beir_mean(values) if "@" in name else float(values.mean())


def marqo_gs_figures(
    values: Mapping[str, FloatArray], *, depth: int = DEPTH
) -> dict[str, dict[str, float]]:
    """Return the means of `marqo_gs_values` in the groups of output.json."""
    means = {name: marqo_gs_mean(name, column) for name, column in values.items()}
    groups = {
        key: {name: mean for name, mean in means.items() if name.startswith(f"{family}@")}
        for key, family in _GROUPS.items()
    }
    last = max(k for k in CUTOFFS if k <= depth)
    summary = {f"mAP@{last}": means[f"MAP@{last}"], f"mrr@{last}": means[f"MRR@{last}"]}
    # The script itself stops with an error below a depth of 10.
    summary |= {name: means[name] for name in ("NDCG@10", "mERR", *PERSISTENCES) if name in means}
    return {**groups, "summary": summary}


def _script_names(queries: pl.DataFrame) -> pl.DataFrame | None:
    """Return query_id and name: the script's, from the text; None where there is no text."""
    if queries.schema.get(TEXT_KEY) != pl.String:
        return None
    return queries.select("query_id", name=pl.col(TEXT_KEY).fill_null("") + TEXT_MARK)


def _cut(judgments: pl.DataFrame, depth: int) -> pl.DataFrame:
    """Return the `depth` best judgments of each query, ties at the cut as pandas has them."""
    deep = judgments.group_by("query_id").len().filter(pl.col("len") > depth)["query_id"]
    if not deep.len():
        return judgments
    numbered = judgments.with_row_index("row")
    kept = [numbered.filter(~pl.col("query_id").is_in(deep.implode()))["row"].to_numpy()]
    for rows in numbered.filter(pl.col("query_id").is_in(deep.implode())).partition_by("query_id"):
        kept.append(rows["row"].to_numpy()[_descending(rows["score"].to_numpy())[:depth]])
    cut: pl.DataFrame = judgments[np.sort(np.concatenate(kept))]
    return cut


def _descending(values: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return the order of pandas' ``sort_values(ascending=False)``, which is not stable."""
    rows = np.arange(len(values))[::-1]
    order: npt.NDArray[np.intp] = rows[values[::-1].argsort(kind="quicksort")][::-1]
    return order


def _unannotated(view: SplitView, hits: Hits) -> FloatArray:
    """Return 1 where a hit is judged for no query, 0 elsewhere, (Q, K)."""
    judged = view.documents["doc_id"].is_in(view.judgments["doc_id"].unique().implode()).to_numpy()
    # The row after the last stands for −1, the end of a list.
    holes = np.append(~judged, False)
    return holes[hits.indices].astype(np.float64)


def _best_grades(rankings: JudgedRankings) -> FloatArray:
    """Return each query's highest grade, (Q,); 1 where nothing is judged."""
    counts = np.diff(rankings.ideal_offsets)
    best = np.ones(len(rankings))
    best[counts > 0] = rankings.ideal_scores[rankings.ideal_offsets[:-1][counts > 0]]
    return best


def _itself(scores: FloatArray) -> FloatArray:
    return scores
