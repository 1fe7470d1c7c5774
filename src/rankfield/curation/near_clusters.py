"""Clusters of near duplicates: every pair confirmed, chained or, if asked, all alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.clusters import clusters_of_keys
from rankfield.curation.criteria import Criterion, Pairs, Wanted, similar_by_all
from rankfield.curation.forest import Forest

__all__ = ["Link", "chained", "near_clusters", "near_duplicates_across"]

Link = Literal["single", "complete"]


def near_clusters(
    criteria: Sequence[Criterion], ids: pl.Series, *, link: Link = "single"
) -> NDArray[np.int64]:
    """Return for each record the row of the one that stands for its near duplicates.

    Two records are a pair if every criterion says so. With the link "single" a cluster is a
    connected component of pairs: a chain A ~ B ~ C makes one even if A and C are not alike. With
    "complete" all records of a cluster are alike: in each component, records come in the order of
    their ids, and each joins the first cluster all of whose members it is like, else begins one.

    Args:
        criteria: at least one; the first one proposes pairs.
        ids: N different strings.
        link: "single" or "complete".

    Returns:
        int64 (N,), as `clusters.clusters_of_keys`; the order of rows does not matter.
    """
    same = _same(criteria)
    first = clusters_of_keys(same, ids)
    forest = Forest(len(ids))

    def wanted(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(forest.roots(a) != forest.roots(b))

    rows = np.flatnonzero((first == np.arange(len(first))) & same.is_not_null().to_numpy())
    for pairs in _pairs(criteria, rows, wanted):
        forest.join(pairs)
    components = clusters_of_keys(pl.Series(forest.labels()[first]), ids)
    if link == "single":
        return components
    return _complete(criteria, components, first, ids)


def near_duplicates_across(
    criteria: Sequence[Criterion], seen: NDArray[np.bool_], looked_at: NDArray[np.bool_]
) -> Pairs:
    """Return pairs of a seen record and an unseen one that is like it, one for each unseen.

    Args:
        criteria: as in `near_clusters`.
        seen: bool (N,).
        looked_at: bool (N,), which unseen records to look at.

    Returns:
        int64 (P, 2): seen row, unseen row; by unseen row.
    """
    partner = np.full(len(seen), -1, dtype=np.int64)

    def wanted(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        unseen = np.where(seen[a], b, a)
        return np.asarray((seen[a] != seen[b]) & (partner[unseen] < 0))

    keys = pl.DataFrame({"same": _same(criteria), "seen": seen})
    known = keys["same"].is_not_null().to_numpy() & (seen | looked_at)
    # of records alike beyond doubt on one side, the first is compared for all
    lone = keys.with_row_index("row").filter(pl.Series(known))
    lone = lone.with_columns(first=pl.col("row").first().over("same", "seen"))
    rows = lone["first"].unique().sort().to_numpy().astype(np.int64)
    for pairs in _pairs(criteria, rows, wanted):
        left = seen[pairs[:, 0]]
        ordered = np.where(left[:, None], pairs, pairs[:, ::-1])
        partner[ordered[:, 1]] = ordered[:, 0]
    places = lone["row"].to_numpy().astype(np.int64)
    found = partner[lone["first"].to_numpy().astype(np.int64)]
    crossing = ~seen[places] & (found >= 0)
    return np.stack([found[crossing], places[crossing]], axis=1)


def chained(criteria: Sequence[Criterion], stands: NDArray[np.int64]) -> int:
    """Return how many records are not themselves like the one that stands for them."""
    gone = np.flatnonzero(stands != np.arange(len(stands)))
    pairs = np.stack([stands[gone], gone], axis=1)
    return int((~similar_by_all(criteria, pairs)).sum())


def _same(criteria: Sequence[Criterion]) -> pl.Series:
    """Return one key for the keys of all; null where any is."""
    keys = pl.DataFrame({str(i): criterion.same for i, criterion in enumerate(criteria)})
    known = pl.all_horizontal(pl.all().is_not_null())
    return keys.select(pl.when(known).then(pl.struct(pl.all()).rank("dense"))).to_series()


def _pairs(
    criteria: Sequence[Criterion], rows: NDArray[np.int64], wanted: Wanted
) -> Iterator[Pairs]:
    first, *others = criteria
    for pairs in first.candidates(rows, wanted):
        yield pairs[similar_by_all([first, *others], pairs)]


def _complete(
    criteria: Sequence[Criterion],
    components: NDArray[np.int64],
    first: NDArray[np.int64],
    ids: pl.Series,
) -> NDArray[np.int64]:
    """Divide components until all records of a cluster are alike."""
    stands = np.arange(len(first), dtype=np.int64)
    lone = np.flatnonzero(first == stands)
    order = lone[ids.gather(lone).arg_sort().to_numpy()]
    order = order[np.argsort(components[order], kind="stable")]
    edges = np.flatnonzero(np.diff(components[order])) + 1
    for members in np.split(order, edges):
        clusters: list[list[int]] = []
        for row in members.tolist():
            home = _home(criteria, clusters, row)
            clusters[home].append(row) if home < len(clusters) else clusters.append([row])
        for cluster in clusters:
            stands[cluster] = cluster[0]
    return clusters_of_keys(pl.Series(stands[first]), ids)


def _home(criteria: Sequence[Criterion], clusters: list[list[int]], row: int) -> int:
    """Return the first cluster all of whose members are like this record, else their number."""
    if not clusters:
        return 0
    others = np.array([member for cluster in clusters for member in cluster], dtype=np.int64)
    pairs = np.stack([others, np.full_like(others, row)], axis=1)
    alike = similar_by_all(criteria, pairs)
    starts = np.cumsum([0, *(len(cluster) for cluster in clusters)])[:-1]
    fits = np.logical_and.reduceat(alike, starts)
    return int(fits.argmax()) if fits.any() else len(clusters)
