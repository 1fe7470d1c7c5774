"""Evaluating what ranks: the whole corpus of each split, then all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from rankfield.errors import MetricError
from rankfield.evaluation.check_hits import check_hits
from rankfield.evaluation.join_judgments import join_judgments
from rankfield.evaluation.measured_data import measured_data
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.protocol import EvaluationProtocol, protocol_named
from rankfield.evaluation.ranker import Embedder, Ranker, Search, ranker_of
from rankfield.evaluation.resampling import LEVEL
from rankfield.evaluation.results import DatasetIdentity, Results, SplitSize
from rankfield.metrics import JudgedRankings, standard_metrics
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import SPLITS, RankingDataset, SplitView, require_dataset
from rankfield.search import Hits

__all__ = ["evaluate", "evaluate_rankings", "evaluated_splits"]

_SEED = 0
"""Of the resampling behind the intervals."""


def evaluate(
    ranker: Ranker | Embedder,
    dataset: RankingDataset,
    options: EvaluationOptions | None = None,
) -> Results:
    """Return all `metrics.STANDARD_METRICS` of what ranks, on each split.

    Each query is answered from the whole corpus of the split; an unjudged document counts 0. A
    query for which a metric is undefined (nothing relevant is judged) is left out of its mean.

    Args:
        ranker: a model, which ranks by exact search (`ModelRanker`), or any other ranker.
        dataset: the data set, or its folder.
        options: what to measure, and how.

    Raises:
        InputError: something else in place of the data set.
        SplitError: an unknown split or subset, or a split without queries.
        DataError: an id or pair that occurs twice, or an embedding that is not finite.
        ModelError: embeddings or hits of another shape than promised.
        MetricError: an unknown protocol, or further metrics that do not fit it.
    """
    dataset = require_dataset(dataset)
    ranker, options = ranker_of(ranker), options or EvaluationOptions()
    return evaluate_rankings(
        ranker.name,
        ranker.searcher(dataset, options),
        dataset,
        options,
        metadata={"k": options.k, **ranker.metadata},
    )


def evaluate_rankings(
    name: str,
    search: Search,
    dataset: RankingDataset,
    options: EvaluationOptions | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Results:
    """Return the same as `evaluate` for any function that ranks the documents of a split.

    Args:
        name: what results call it.
        search: the function.
        dataset: the data set.
        options: what to measure; `k` and `search` of it are left to the function.
        metadata: what else to write into ``Results.metadata``.

    Raises:
        SplitError: an unknown split or subset, or a split without queries.
        DataError: an id or pair that occurs twice.
        ModelError: hits of another shape, of unknown or repeated documents, or scored NaN.
        MetricError: an unknown protocol.
    """
    options = options or EvaluationOptions()
    rules, subset = protocol_named(options.protocol), _subset(dataset, options.subset)
    _refuse_shallow(rules, options)
    means, sizes, per_query, rankings, judgments = {}, {}, [], [], {}
    # All of them first: a split that cannot be measured is said before any search.
    wanted = evaluated_splits(dataset, options)
    views = [rules.view(dataset.view(split, subset)) for split in wanted]
    for view in views:
        hits = search(view)
        check_hits(name, view, hits)
        judged = join_judgments(view, hits)
        values = rules.values(view, hits, judged, dataset.score_scale)
        if options.metrics:
            values |= standard_metrics(judged, dataset.score_scale, options.metrics)
        means[view.name] = rules.means(values, seed=_SEED)
        sizes[view.name] = SplitSize(
            view.queries.height, view.documents.height, view.judgments.height, hits.ties
        )
        judgments[view.name] = view.judgments
        per_query.append(_query_frame(view, values))
        rankings.append(_ranking_frame(view, hits, judged, options.keep))
    return Results(
        model=name,
        label=options.label,
        dataset=_identity(dataset),
        subset=subset or "all",
        splits=means,
        sizes=sizes,
        queries=pl.concat(per_query),
        rankings=pl.concat(rankings),
        protocol=rules.name,
        metadata={
            **_settings(dataset, rules),
            "keep": options.keep,
            **measured_data(judgments, dataset.score_scale),
            **(metadata or {}),
        },
    )


def _refuse_shallow(rules: EvaluationProtocol, options: EvaluationOptions) -> None:
    """Refuse further metrics by other rules than rankfield's, and beyond what is retrieved."""
    for metric in options.metrics:
        if rules.name != "rankfield":
            raise MetricError(f"is not among the metrics of {rules.name}", where=f"metric {metric}")
        if (metric.cutoff or 0) > options.k:
            raise MetricError(
                f"needs more than the {options.k:,} documents that are retrieved",
                where=f"metric {metric}",
                remedy=f"Retrieve more (EvaluationOptions(k={metric.cutoff})).",
            )


def _identity(dataset: RankingDataset) -> DatasetIdentity:
    path = str(dataset.root.resolve()) if dataset.root else ""
    return DatasetIdentity(dataset.name, dataset.fingerprint(), path)


def _settings(dataset: RankingDataset, rules: EvaluationProtocol) -> dict[str, Any]:
    """Return what results say of how figures are computed."""
    settings: dict[str, Any] = {"intervals": {"level": LEVEL, "seed": _SEED}}
    floor = dataset.score_scale.gain_floor
    # The scale's minimum says where gains begin, and other protocols have gains of their own.
    if floor is not None and rules.name == "rankfield":
        settings["gain_floor"] = floor
    return settings | dict(rules.settings)


def evaluated_splits(dataset: RankingDataset, options: EvaluationOptions) -> Sequence[str]:
    """Return the splits to measure; by default those with judged queries of the subset."""
    if options.splits is not None:
        return list(dict.fromkeys(options.splits))
    # Without any, the first one asked for says what there is.
    return dataset.judged_splits(_subset(dataset, options.subset)) or (
        SPLITS if dataset.is_split else ("all",)
    )


def _subset(dataset: RankingDataset, subset: str | None) -> str | None:
    return subset if dataset.has_subsets else None


def _query_frame(view: SplitView, values: dict[str, FloatArray]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "split": [view.name] * view.queries.height,
            "query_id": view.queries["query_id"],
            **{name: pl.Series(name, column).fill_nan(None) for name, column in values.items()},
        }
    )


def _ranking_frame(view: SplitView, hits: Hits, judged: JudgedRankings, keep: int) -> pl.DataFrame:
    indices = hits.indices[:, :keep]
    queries, ranks = np.nonzero(indices >= 0)
    return pl.DataFrame(
        {
            "split": pl.repeat(view.name, len(queries), dtype=pl.String, eager=True),
            "query_id": view.queries["query_id"].gather(queries),
            "rank": ranks.astype(np.int64) + 1,
            "doc_id": view.documents["doc_id"].gather(indices[queries, ranks]),
            "similarity": hits.similarities[queries, ranks],
            "judged_score": pl.Series(judged.scores[queries, ranks]).fill_nan(None),
        }
    )
