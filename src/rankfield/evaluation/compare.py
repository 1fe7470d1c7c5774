"""Comparing evaluations of the same data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from rankfield.errors import MetricError
from rankfield.evaluation.folds import pooled_by_label
from rankfield.evaluation.measured_data import same_judgments
from rankfield.evaluation.results import Results
from rankfield.evaluation.statistics import PairedTest, holm, paired_tests
from rankfield.messages import did_you_mean, listed
from rankfield.metrics import canonical_name
from rankfield.metrics.rankings import FloatArray

__all__ = ["Comparison", "compare"]

_KEYS = ["split", "query_id"]
_LISTED = 12
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
_TESTS = {
    "split": pl.String,
    "metric": pl.String,
    "name": pl.String,
    "queries": pl.Int64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_randomisation": pl.Float64,
    "p_bootstrap": pl.Float64,
    "p_seeds": pl.Float64,
    "better": pl.Int64,
    "worse": pl.Int64,
    "equal": pl.Int64,
}


@dataclass(frozen=True)
class Comparison:
    """The figures of several runs side by side.

    names: one for each run, or for each label whose runs are averaged; the first is what the
        others are compared with.
    table: one row for each split, metric and name, in that order: ``split``, ``metric``,
        ``name``, ``value`` (mean over runs), ``standard_deviation`` (over runs, n − 1; null for
        one run), ``runs``, ``queries``, ``gain_percent`` = 100 · (value / first − 1), null for
        the first itself and where the first is undefined, 0 or less.
    runs: name → its results.
    """

    names: tuple[str, ...]
    table: pl.DataFrame
    runs: Mapping[str, Sequence[Results]]

    @property
    def splits(self) -> list[str]:
        """The splits that all runs have, in the order of the first."""
        return self.table["split"].unique(maintain_order=True).to_list()

    @property
    def metrics(self) -> list[str]:
        """The metrics compared."""
        return self.table["metric"].unique(maintain_order=True).to_list()

    @cached_property
    def queries(self) -> pl.DataFrame:
        """One row for each name, split and query: the metrics' means over the name's runs.

        ``name``, ``split``, ``query_id``, and a float column for each metric, null where it is
        undefined.
        """
        columns = [pl.col(metric).cast(pl.Float64) for metric in self.metrics]
        return pl.concat(
            pl.concat(run.queries.select(*_KEYS, *columns) for run in runs)
            .filter(pl.col("split").is_in(self.splits))
            .group_by(_KEYS, maintain_order=True)
            .mean()
            .select(pl.lit(name).alias("name"), pl.all())
            for name, runs in self.runs.items()
        )

    @cached_property
    def tests(self) -> pl.DataFrame:
        """Whether each name differs from the first by more than chance, over shared queries.

        One row for each split, metric and name but the first: ``split``, ``metric``, ``name``,
        ``queries``, ``difference`` (to the first) with its 95 % interval ``low``, ``high``,
        ``p_randomisation``, ``p_bootstrap``, ``p_seeds``, ``p_adjusted``, ``better``, ``worse``,
        ``equal``, as `statistics.paired_test` with seed 0. Where either name has several runs, the
        interval and ``p_seeds`` are about the recipes; elsewhere ``p_seeds`` is null and all is
        about the two models alone. ``p_adjusted`` is ``p_seeds``, or ``p_randomisation`` where
        that is null, by `holm` over all rows. A query counts once, with its mean over runs.
        """
        found = {
            (split, name): self._paired(split, name)
            for split in self.splits
            for name in self.names[1:]
        }
        rows = [
            (split, metric, name, *_figures(found[split, name][metric]))
            for split in self.splits
            for metric in self.metrics
            for name in self.names[1:]
        ]
        return _adjusted(pl.DataFrame(rows, schema=_TESTS, orient="row"))

    def tests_against(self, baselines: Sequence[str] = ()) -> pl.DataFrame:
        """Whether names differ from each of several baselines by more than chance.

        One row for each split, metric and pair: ``split``, ``metric``, ``name``, ``against`` and
        the columns of `tests`, with ``difference`` = name − against. ``p_adjusted`` is by `holm`
        over all rows.

        Args:
            baselines: names that all others are tested against, each pair once; empty: all pairs.

        Raises:
            MetricError: an unknown name.
        """
        for one in baselines:
            if one not in self.names:
                raise MetricError(
                    f"there are no results of {one!r}; there are {listed(self.names, _LISTED)}",
                    where="against",
                    remedy=did_you_mean(one, self.names),
                )
        wanted = dict.fromkeys(baselines or self.names)
        pairs = [
            (first, name)
            for place, first in enumerate(wanted)
            for name in self.names
            if name not in list(wanted)[: place + 1]
        ]
        found = {
            (split, *pair): self._paired(split, pair[1], pair[0])
            for split in self.splits
            for pair in pairs
        }
        rows = [
            (split, metric, name, first, *_figures(found[split, first, name][metric]))
            for split in self.splits
            for metric in self.metrics
            for first, name in pairs
        ]
        schema = {key: _TESTS[key] for key in ("split", "metric", "name")}
        schema |= {"against": pl.String} | _TESTS
        return _adjusted(pl.DataFrame(rows, schema=schema, orient="row"))

    def _paired(self, split: str, name: str, against: str = "") -> dict[str, PairedTest]:
        sides = [
            [run.queries.filter(split=split).select("query_id", *self.metrics) for run in runs]
            for runs in (self.runs[against or self.names[0]], self.runs[name])
        ]
        shared = sides[0][0].select("query_id")
        for frame in itertools.chain(*sides):
            shared = shared.join(frame, on="query_id", how="semi", maintain_order="left")
        first, second = (
            {metric: _by_run(frames, shared, metric) for metric in self.metrics} for frames in sides
        )
        return paired_tests(first, second)


def _adjusted(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table of tests with ``p_adjusted``, by `holm` over all of its rows."""
    p_values = table["p_seeds"].fill_null(table["p_randomisation"])
    adjusted = pl.Series("p_adjusted", holm(p_values.to_numpy()))
    return table.insert_column(table.columns.index("p_seeds") + 1, adjusted)


def _by_run(frames: Sequence[pl.DataFrame], queries: pl.DataFrame, metric: str) -> FloatArray:
    """Return a metric of each run and query, (runs, n)."""
    columns = [
        queries.join(frame, on="query_id", how="left", maintain_order="left")[metric]
        for frame in frames
    ]
    return np.stack([c.cast(pl.Float64).fill_null(np.nan).to_numpy() for c in columns])


def compare(
    results: Sequence[Results], *, metrics: Sequence[str] | None = None, force: bool = False
) -> Comparison:
    """Return the means of each run on the splits they share, and gains over the first.

    Runs of one label are averaged; runs without a label stand alone, under the model's name.
    Those of one label that have no query in common are folds, and pooled first (`pool_folds`).

    Args:
        results: at least one.
        metrics: which to compare, in any spelling; by default all that every run has.
        force: compare although protocols, data or subsets differ.

    Raises:
        MetricError: nothing to compare, a metric that a run lacks, runs over different queries,
            which nothing pairs, or runs by different protocols or over different data or subsets
            without `force`.
    """
    if not results:
        raise MetricError("expected at least one evaluation, found none", where="compare")
    results = pooled_by_label(results)
    splits = [s for s in results[0].splits if all(s in r.splits for r in results)]
    if not splits:
        raise MetricError("the evaluations have no split in common", where="compare")
    if not force:
        for other in results[1:]:
            _refuse_different(results[0], other, splits)
    for other in results[1:]:
        _refuse_other_queries(results[0], other, splits)
    chosen = _metrics(results, splits, metrics)
    groups = _groups(results)
    rows = [row for split in splits for metric in chosen for row in _rows(groups, split, metric)]
    return Comparison(tuple(groups), pl.DataFrame(rows, schema=_SCHEMA), groups)


def _refuse_different(first: Results, other: Results, splits: Sequence[str]) -> None:
    remedy = "Evaluate both on the same data, or compare anyway (--force)."
    where = f"{_title(first)} and {_title(other)}"
    data = [
        ("data", first.dataset.fingerprint, other.dataset.fingerprint),
        ("subset", first.subset, other.subset),
        ("scale of the scores", *_scales(first, other)),
        # the same tables may have been imported before scores of 0 and below gained nothing
        ("score from which gains count", _floor(first), _floor(other)),
    ]
    # The same judgments may come from a data set and from a file.
    known = same_judgments(first, other, splits)
    for what, mine, yours in (
        ("protocol", first.protocol, other.protocol),
        *([] if known else data),
    ):
        if mine != yours:
            raise MetricError(
                f"expected the same {what}, found {mine} and {yours}", where=where, remedy=remedy
            )
    if set(first.splits) != set(other.splits):
        found = f"{', '.join(first.splits)} and {', '.join(other.splits)}"
        raise MetricError(f"expected the same splits, found {found}", where=where, remedy=remedy)


def _refuse_other_queries(first: Results, other: Results, splits: Sequence[str]) -> None:
    for split in splits:
        if _query_ids(first, split) != _query_ids(other, split):
            raise MetricError(
                f"expected the same queries in split {split}",
                where=f"{_title(first)} and {_title(other)}",
                remedy="Evaluate both on the same queries. Folds are pooled where all files of a "
                "run have one label (LABEL=FILE) and no query in common.",
            )


def _scales(first: Results, other: Results) -> tuple[str, str]:
    """Return both scales in words; "" where results of earlier versions do not say it."""
    scales = [results.metadata.get("scale") for results in (first, other)]
    if not all(isinstance(scale, dict) for scale in scales):
        return "", ""
    mine, yours = (", ".join(f"{k} {v}" for k, v in dict(scale or {}).items()) for scale in scales)
    return mine, yours


def _floor(results: Results) -> str:
    floor = results.metadata.get("gain_floor")
    return "0 or the scale's minimum" if floor is None else f"{floor:g}"


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
    wanted = [name if name in shared else canonical_name(name) for name in metrics or ()]
    for name, current in zip(metrics or (), wanted, strict=True):
        if current not in shared:
            raise _unknown_metric(name, shared)
    return list(dict.fromkeys(wanted)) if wanted else shared


def _unknown_metric(name: str, shared: Sequence[str]) -> MetricError:
    # Upper and lower case are often all that differs, between protocols too.
    known = {metric.lower(): metric for metric in shared}
    return MetricError(
        f"unknown metric {name!r}; the evaluations share {listed(shared, _LISTED)}",
        where="compare",
        remedy=did_you_mean(name.lower(), known, shown=known),
    )


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


def _figures(test: PairedTest) -> tuple[float | int | None, ...]:
    """Return the columns of `_TESTS` after the name."""
    difference = test.difference
    return (
        *(difference.queries, difference.value, difference.low, difference.high),
        *(test.p_randomisation, test.p_bootstrap, test.p_seeds),
        *(test.better, test.worse, test.equal),
    )


def _gain(value: float | None, first: float | None) -> float | None:
    """Return the relative gain in %; None over nothing, 0 or less: there it is undefined."""
    if value is None or first is None or first <= 0:
        return None
    return 100 * (value / first - 1)
