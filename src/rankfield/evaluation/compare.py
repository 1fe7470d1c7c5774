"""Comparing evaluations of the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rankfield.errors import MetricError
from rankfield.evaluation.results import Results
from rankfield.metrics import canonical_name

__all__ = ["Comparison", "compare"]


_SCHEMA = {
    "split": pl.String,
    "metric": pl.String,
    "name": pl.String,
    "value": pl.Float64,
    "standard_deviation": pl.Float64,
    "runs": pl.Int64,
    "queries": pl.Int64,
    "gain_percent": pl.Float64,
}


@dataclass(frozen=True)
class Comparison:
    """The figures of several runs side by side.

    names: one for each run, or for each label whose runs are averaged; the first is what the
        others are compared with.
    table: one row for each split, metric and name, in that order: ``split``, ``metric``,
        ``name``, ``value`` (mean over runs), ``standard_deviation`` (over runs, n − 1; null for
        one run), ``runs``, ``queries``, ``gain_percent`` = 100 · (value / first − 1), null for
        the first itself and where the first is 0 or undefined.
    """

    names: tuple[str, ...]
    table: pl.DataFrame

    @property
    def splits(self) -> list[str]:
        """The splits that all runs have, in the order of the first."""
        return self.table["split"].unique(maintain_order=True).to_list()

    @property
    def metrics(self) -> list[str]:
        """The metrics compared."""
        return self.table["metric"].unique(maintain_order=True).to_list()


def compare(
    results: Sequence[Results], *, metrics: Sequence[str] | None = None, force: bool = False
) -> Comparison:
    """Return the means of each run on the splits they share, and gains over the first.

    Runs of one label are averaged; runs without a label stand alone, under the model's name.

    Args:
        results: at least one.
        metrics: which to compare, in any spelling; by default all that every run has.
        force: compare although data, subsets or queries differ.

    Raises:
        MetricError: nothing to compare, a metric that a run lacks, or runs over different data,
            subsets or queries without `force`.
    """
    if not results:
        raise MetricError("expected at least one evaluation, found none", where="compare")
    splits = [s for s in results[0].splits if all(s in r.splits for r in results)]
    if not splits:
        raise MetricError("the evaluations have no split in common", where="compare")
    if not force:
        for other in results[1:]:
            _refuse_different(results[0], other, splits)
    chosen = _metrics(results, splits, metrics)
    groups = _groups(results)
    rows = [row for split in splits for metric in chosen for row in _rows(groups, split, metric)]
    return Comparison(tuple(groups), pl.DataFrame(rows, schema=_SCHEMA))


def _refuse_different(first: Results, other: Results, splits: Sequence[str]) -> None:
    remedy = "Evaluate both on the same data, or compare anyway (--force)."
    where = f"{_title(first)} and {_title(other)}"
    for what, mine, yours in (
        ("data", first.dataset.fingerprint, other.dataset.fingerprint),
        ("subset", first.subset, other.subset),
    ):
        if mine != yours:
            raise MetricError(
                f"expected the same {what}, found {mine} and {yours}", where=where, remedy=remedy
            )
    if set(first.splits) != set(other.splits):
        found = f"{', '.join(first.splits)} and {', '.join(other.splits)}"
        raise MetricError(f"expected the same splits, found {found}", where=where, remedy=remedy)
    for split in splits:
        if _query_ids(first, split) != _query_ids(other, split):
            raise MetricError(
                f"expected the same queries in split {split}", where=where, remedy=remedy
            )


def _query_ids(results: Results, split: str) -> set[str]:
    return set(results.queries.filter(pl.col("split") == split)["query_id"])


def _metrics(
    results: Sequence[Results], splits: Sequence[str], metrics: Sequence[str] | None
) -> list[str]:
    shared = [
        name
        for name in results[0].splits[splits[0]]
        if all(name in r.splits[split] for r in results for split in splits)
    ]
    for name in metrics or ():
        if canonical_name(name) not in shared:
            raise MetricError(
                f"unknown metric {name!r}; the evaluations share {', '.join(shared)}",
                where="compare",
            )
    return list(dict.fromkeys(map(canonical_name, metrics))) if metrics else shared


def _title(results: Results) -> str:
    return results.label or results.model


def _groups(results: Sequence[Results]) -> dict[str, list[Results]]:
    """Return name → runs: those of one label together, one without a label by itself."""
    groups: dict[str, list[Results]] = {}
    labels = {r.label for r in results if r.label}
    for one in results:
        if one.label:
            groups.setdefault(one.label, []).append(one)
            continue
        name, number = one.model, 2
        while name in groups or name in labels:
            name, number = f"{one.model} ({number})", number + 1
        groups[name] = [one]
    return groups


def _rows(groups: dict[str, list[Results]], split: str, metric: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    first: float | None = None
    for position, (name, runs) in enumerate(groups.items()):
        means = [run.splits[split][metric] for run in runs]
        values = [mean.value for mean in means if mean.value is not None]
        value = float(np.mean(values)) if values else None
        if position == 0:
            first = value
        rows.append(
            {
                "split": split,
                "metric": metric,
                "name": name,
                "value": value,
                "standard_deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                "runs": len(runs),
                "queries": means[0].queries,
                "gain_percent": _gain(value, first) if position else None,
            }
        )
    return rows


def _gain(value: float | None, first: float | None) -> float | None:
    """Return the relative gain in %, None where there is nothing to relate to."""
    if value is None or not first:
        return None
    return 100 * (value / first - 1)
