"""The results of a run against judgments, without a data set: of one kind with `evaluate`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from rankfield.evaluation.intervals import mean_intervals
from rankfield.evaluation.join_run import join_run
from rankfield.evaluation.measured_data import measured_data
from rankfield.evaluation.resampling import LEVEL
from rankfield.evaluation.results import DatasetIdentity, Results, SplitSize
from rankfield.metrics import Metric, OwnMetric, standard_metrics
from rankfield.schema import ScoreScale

__all__ = ["measure_run"]

_SEED = 0
_KEPT = 10


def measure_run(
    judgments: pl.DataFrame,
    run: pl.DataFrame,
    scale: ScoreScale,
    metrics: Sequence[Metric | OwnMetric],
    *,
    data: DatasetIdentity,
    name: str,
    split: str = "all",
    label: str | None = None,
    ties: str = "descending",
    ignore_unknown: bool = False,
    ignore_missing: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Results:
    """Return the metrics of ranked lists, each query's values and its ten best documents.

    Args:
        judgments, run, ties, ignore_unknown, ignore_missing: as `join_run`.
        scale: of the judged scores.
        metrics: which to compute.
        data: what the judgments are called, and their fingerprint.
        name: what results call the run.
        split: what they call the one split.
        label: a name under which `compare` averages several runs.
        metadata: what else to say of how it was measured.

    Raises:
        InputError, DataError: as `join_run`.
    """
    joined = join_run(
        judgments,
        run,
        ties=ties,
        ignore_unknown=ignore_unknown,
        ignore_missing=ignore_missing,
        name=name,
    )
    values = standard_metrics(joined.rankings, scale, metrics)
    used = judgments.join(joined.queries.to_frame(), on="query_id", how="semi")
    counts = {"missing": joined.missing, "unknown": joined.unknown, "tied": joined.tied}
    return Results(
        model=name,
        label=label,
        dataset=data,
        subset="all",
        splits={split: mean_intervals(values, seed=_SEED)},
        sizes={split: SplitSize(len(joined.queries), None, used.height, joined.tied)},
        queries=pl.DataFrame(
            {
                "split": pl.repeat(split, len(joined.queries), dtype=pl.String, eager=True),
                "query_id": joined.queries,
                **{name: pl.Series(name, column).fill_nan(None) for name, column in values.items()},
            }
        ),
        rankings=_best(joined.lists, split),
        metadata={
            "intervals": {"level": LEVEL, "seed": _SEED},
            "keep": _KEPT,
            **measured_data({split: used}, scale),
            "ties": ties,
            **counts,
            **(metadata or {}),
        },
    )


def _best(lists: pl.DataFrame, split: str) -> pl.DataFrame:
    """Return ``Results.rankings``; of a run, `similarity` is its score."""
    ranks = pl.int_range(pl.len()).over("query_id").cast(pl.Int64) + 1
    return (
        lists.with_columns(rank=ranks)
        .filter(pl.col("rank") <= _KEPT)
        .select(
            pl.lit(split).alias("split"),
            "query_id",
            "rank",
            "doc_id",
            pl.col("score").cast(pl.Float64).alias("similarity"),
            pl.col("judged").cast(pl.Float64).alias("judged_score"),
        )
    )
