"""Clusters of records that are the same: found from keys or pairs, merged into one record each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.schema.tables import T

__all__ = [
    "IDS",
    "Scores",
    "clusters_of_keys",
    "clusters_of_pairs",
    "components",
    "mark_clusters",
    "merge_clusters",
]

Scores = Literal["max", "mean", "first"]
IDS = {"queries": "query_id", "documents": "doc_id"}
"""The tables that can be merged, and their ids."""


def clusters_of_keys(keys: pl.Series, ids: pl.Series) -> NDArray[np.int64]:
    """Return for each record the row of the one that stands for all with its key.

    That is the record with the smallest id of the cluster (by its UTF-8 bytes), wherever it
    stands. A record whose key is null stands for itself.

    Args:
        keys: N keys of any type that can be compared.
        ids: N different strings.

    Returns:
        int64 (N,): r with r[r[i]] = r[i], and r[i] = i where nothing has the same key.
    """
    rows = np.arange(len(keys), dtype=np.int64)
    shared = keys.is_duplicated() & keys.is_not_null()
    if not shared.any():
        return rows
    found = pl.DataFrame({"key": keys, "id": ids, "row": rows}).filter(shared)
    first = found.sort("id").unique("key", keep="first", maintain_order=True)
    both = found.join(first.select("key", first="row"), on="key", maintain_order="left")
    rows[both["row"].to_numpy()] = both["first"].to_numpy()
    return rows


def clusters_of_pairs(pairs: NDArray[np.int64], ids: pl.Series) -> NDArray[np.int64]:
    """Return what `clusters_of_keys` does, of the connected components of pairs of rows.

    Args:
        pairs: rows of records that are the same, int64 (P, 2); their order says nothing.
        ids: N different strings.
    """
    return clusters_of_keys(pl.Series(components(pairs, len(ids))), ids)


def components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the number of the connected component of each row, int32 (count,).

    Args:
        pairs: rows that belong together, int64 (P, 2); their order does not matter.
        count: how many rows there are.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(pairs), dtype=bool)  # repeated edges are added: True stays True
    graph = coo_array((edges, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels)


def merge_clusters(
    dataset: T, clusters: Mapping[str, NDArray[np.int64]], *, scores: Scores = "max"
) -> tuple[T, int]:
    """Return the data set with one record for each cluster, and how many judgments were merged.

    The record that stands for a cluster stays as it is, the others go; judgments of any of them
    become its own. If a query of its cluster is marked as test or as dev, so is the one that stays
    (test first): training must not see what was judged for them. Of several judgments of one pair
    one row stays: the one with the highest score ("max"; ties keep the first), or the first in the
    table ("first", and "mean" with the mean of their scores).

    Memory: about 60 bytes a judgment, less where few of them concern a cluster.

    Args:
        dataset: a data set that `validate.require_valid` accepts.
        clusters: "queries" and "documents", or one of them → what `clusters_of_keys` returns.
        scores: what becomes of several scores of one pair.
    """
    judged = dataset.frame("judgments", ["query_id", "doc_id", "score"])
    touched = pl.repeat(False, judged.height, dtype=pl.Boolean, eager=True)
    for table, stands in clusters.items():
        identity = IDS[table]
        ids = dataset.frame(table, [identity])[identity]
        stays = stands == np.arange(len(stands))
        gone = np.flatnonzero(~stays)
        renamed = pl.DataFrame({identity: ids.gather(gone), "stands": ids.gather(stands[gone])})
        both = judged.select(identity).join(renamed, on=identity, how="left", maintain_order="left")
        changed = both.select(pl.coalesce("stands", identity).alias(identity))[identity]
        judged = judged.with_columns(changed)
        touched |= changed.is_in(renamed["stands"].unique().implode())
        if table == "queries" and "subset" in dataset.schema(table):
            dataset = dataset.with_columns(table, _held_out(dataset, stands).to_frame())
        dataset = dataset.with_rows(table, pl.Series(stays))
    kept, values = _merged(judged, touched, scores)
    judged = judged.with_columns(values)
    dataset = dataset.with_columns("judgments", judged).with_rows("judgments", kept)
    return dataset, int((~kept).sum())


def _held_out(dataset: T, stands: NDArray[np.int64]) -> pl.Series:
    """Return the queries' `subset`: of each cluster "test" if any of it is, else "dev", or none."""
    own = dataset.frame("queries", ["subset"]).with_columns(stands=stands)
    found = pl.col("subset")
    for name in ("dev", "test"):
        held_out = (pl.col("subset").cast(pl.String) == name).any().over("stands")
        found = pl.when(held_out.fill_null(False)).then(pl.lit(name)).otherwise(found)
    return own.select(found.cast(own.schema["subset"]).alias("subset")).to_series()


def _merged(
    judged: pl.DataFrame, touched: pl.Series, scores: Scores
) -> tuple[pl.Series, pl.Series]:
    """Return which judgments stay, and all scores: of those that stay, the merged ones.

    Only pairs with a record that stands for others can occur more than once.
    """
    pair = ["query_id", "doc_id"]
    rows = judged.with_row_index("row").filter(touched)
    if scores == "max":
        rows = rows.sort("score", descending=True, maintain_order=True)
    one = rows.group_by(pair, maintain_order=True).agg(
        pl.col("row").first(),
        pl.col("score").mean() if scores == "mean" else pl.col("score").first(),
    )
    kept = (~touched).to_numpy().copy()
    kept[one["row"].to_numpy()] = True
    values = judged["score"].to_numpy().copy()
    values[one["row"].to_numpy()] = one["score"].to_numpy()
    return pl.Series(kept), pl.Series("score", values, dtype=judged["score"].dtype)


def mark_clusters(
    dataset: T, stands: NDArray[np.int64], column: str, *, table: str = "documents"
) -> T:
    """Return the data set with a column more: the id of the record that stands for each.

    `splits.split` keeps records of one value on one side.

    Args:
        dataset: any ranking data set.
        stands: what `clusters_of_keys` returns of the table.
        column: the column to add.
        table: "documents" or "queries".
    """
    ids = dataset.frame(table, [IDS[table]])[IDS[table]]
    return dataset.with_columns(table, ids.gather(stands).alias(column).to_frame())
