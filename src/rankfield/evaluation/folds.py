"""Results of folds as those of one run: each query counts once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from rankfield.errors import MetricError
from rankfield.evaluation.protocol import protocol_named
from rankfield.evaluation.results import DatasetIdentity, Results, SplitSize
from rankfield.metrics import Mean

__all__ = ["are_folds", "pool_folds", "pooled_by_label"]

_SEED = 0


def are_folds(results: Sequence[Results]) -> bool:
    """Return whether these are folds of a data set: in a split of all, no query is in two of them.

    What folds have in common, they must have: the data set's name, protocol, subset and scale.
    """
    alike = [(r.dataset.name, r.protocol, r.subset, r.metadata.get("scale")) for r in results]
    several = len(results) > 1 and all(one == alike[0] for one in alike)
    return several and bool(_disjoint_splits(results))


def pool_folds(
    results: Sequence[Results],
    *,
    data: DatasetIdentity | None = None,
    names: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Results:
    """Return results of folds as one: every query of every fold once.

    A mean is over all queries, not over the folds' means; splits in which a query is in two folds
    are left out, as in_domain, whose queries other folds hold too.

    Args:
        results: of each fold, with the same protocol and metrics.
        data: what was divided into the folds; by default all folds' data together.
        names: split → what to call it in the result.
        metadata: what to say of how it was made, in place of what the folds say alike.

    Raises:
        MetricError: nothing to pool, other protocols or metrics, or a query in two folds of every
            split.
    """
    splits = _disjoint_splits(results)
    if not splits:
        raise MetricError(
            "expected folds, in which each query is in one, found a query in two",
            where=", ".join(r.label or r.model for r in results) or "folds",
        )
    first = results[0]
    queries = {split: pl.concat(_of(one.queries, split) for one in results) for split in splits}
    called = {split: (names or {}).get(split, split) for split in splits}
    return Results(
        model=first.model,
        label=first.label,
        dataset=data or _together(results),
        subset=first.subset,
        splits={called[split]: _means(results, split, queries[split]) for split in splits},
        sizes={
            called[split]: _size([one.sizes[split] for one in results])
            for split in splits
            if all(split in one.sizes for one in results)
        },
        queries=_renamed(queries, called),
        rankings=_renamed(
            {split: pl.concat(_of(one.rankings, split) for one in results) for split in splits},
            called,
        ),
        protocol=first.protocol,
        metadata=_alike(results) if metadata is None else dict(metadata),
    )


def pooled_by_label(results: Sequence[Results]) -> list[Results]:
    """Return results with those of one label that `are_folds` pooled, in the place of the first."""
    groups: dict[str | int, list[Results]] = {}
    for number, one in enumerate(results):
        groups.setdefault(one.label or number, []).append(one)
    return [
        one
        for group in groups.values()
        for one in ([pool_folds(group)] if are_folds(group) else group)
    ]


def _disjoint_splits(results: Sequence[Results]) -> list[str]:
    """Return the splits that all have, and in which no query is in two of them."""
    found = []
    for split in results[0].splits if results else ():
        if not all(split in one.splits for one in results):
            continue
        asked = pl.concat(_of(one.queries, split).select("query_id") for one in results)
        if not asked["query_id"].is_duplicated().any():
            found.append(split)
    return found


def _of(table: pl.DataFrame, split: str) -> pl.DataFrame:
    return table.filter(split=split)


def _means(results: Sequence[Results], split: str, queries: pl.DataFrame) -> dict[str, Mean]:
    first = results[0]
    metrics = list(first.splits[split])
    for one in results[1:]:
        if one.protocol != first.protocol or list(one.splits[split]) != metrics:
            raise MetricError(
                "expected folds with the same protocol and metrics",
                where=f"{first.label or first.model}, split {split}",
            )
    values = {m: queries[m].cast(pl.Float64).fill_null(float("nan")).to_numpy() for m in metrics}
    return protocol_named(first.protocol).means(values, seed=_SEED)


def _size(sizes: Sequence[SplitSize]) -> SplitSize:
    searched = {size.documents for size in sizes}
    return SplitSize(
        sum(size.queries for size in sizes),
        searched.pop() if len(searched) == 1 else None,
        sum(size.judgments for size in sizes),
        sum(size.tied_queries for size in sizes),
    )


def _together(results: Sequence[Results]) -> DatasetIdentity:
    """Return what stands for the data of all folds, in whatever order they are given."""
    fingerprints = sorted({one.dataset.fingerprint for one in results})
    return DatasetIdentity(results[0].dataset.name, "+".join(fingerprints))


def _renamed(tables: Mapping[str, pl.DataFrame], called: Mapping[str, str]) -> pl.DataFrame:
    return pl.concat(
        table.with_columns(split=pl.lit(called[split])) for split, table in tables.items()
    )


def _alike(results: Sequence[Results]) -> dict[str, Any]:
    """Return what all folds say alike, but of which judgments they are: each has its own."""
    first, *others = (one.metadata for one in results)
    return {
        key: value
        for key, value in first.items()
        if key != "judgments" and all(key in one and one[key] == value for one in others)
    } | {"folds": len(results)}
