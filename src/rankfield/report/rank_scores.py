"""How much relevance each rank holds: the mean score at rank 1, 2, 3 …"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from rankfield.evaluation import Comparison
from rankfield.schema import RankingDataset

__all__ = ["RISES", "RankScores", "rank_scores", "rises_above"]

RISES = (
    "Where a model is above the best possible list at a rank, it has good documents there that the "
    "best list has further up, and that list has only lower scores left: no list is better as a "
    "whole."
)
"""Why a curve may rise above "best possible"."""

_KEYS = ["split", "query_id"]


@dataclass(frozen=True)
class RankScores:
    """The mean score at each rank 1 … K of a split: best possible, and model → that of its lists.

    An unjudged document, and a rank past the end of a list, counts as a score that is worth
    nothing: the scale's `floor`.
    """

    split: str
    ideal: tuple[float, ...]
    models: dict[str, tuple[float, ...]]


def rank_scores(comparison: Comparison, dataset: RankingDataset) -> list[RankScores]:
    """Return the curves of each split, as deep as every run keeps its rankings.

    mean score at r = (1 / Q) Σ_q score(document at rank r of query q); the ideal has each query's
    judged documents of the split in the order of their scores. Splits of which a run has kept no
    scored rankings are left out.
    """
    floor = dataset.score_scale.floor
    found = []
    for split in comparison.splits:
        frames = {
            name: [run.rankings.filter(split=split) for run in runs]
            for name, runs in comparison.runs.items()
        }
        every = [frame for group in frames.values() for frame in group]
        if any("judged_score" not in frame.columns or frame.is_empty() for frame in every):
            continue
        depth = min(int(frame["rank"].max()) for frame in every)  # type: ignore[arg-type]
        queries = comparison.queries.filter(split=split, name=comparison.names[0])["query_id"]
        models = {
            name: tuple(
                np.mean([_means(f, len(queries), depth, floor) for f in group], axis=0).tolist()
            )
            for name, group in frames.items()
        }
        ideal = _ideal(dataset, split, queries, depth, floor)
        found.append(RankScores(split, tuple(ideal.tolist()), models))
    return found


def rises_above(curves: Iterable[RankScores]) -> bool:
    """Return whether a model has a higher mean at some rank than the best possible list."""
    return any(
        value > best + 1e-9
        for curve in curves
        for values in curve.models.values()
        for value, best in zip(values, curve.ideal, strict=True)
    )


def _means(
    ranked: pl.DataFrame, queries: int, depth: int, floor: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the mean score at ranks 1 … depth, over all queries."""
    kept = ranked.filter(pl.col("rank") <= depth)
    above = kept["judged_score"].cast(pl.Float64).fill_null(floor).to_numpy() - floor
    places = kept["rank"].cast(pl.Int64).to_numpy() - 1
    return floor + np.bincount(places, weights=above, minlength=depth)[:depth] / max(queries, 1)


def _ideal(
    dataset: RankingDataset, split: str, queries: pl.Series, depth: int, floor: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    judged = dataset.judgments
    if dataset.is_split and split != "all":
        judged = judged.filter(pl.col("split") == split)
    judged = judged.filter(pl.col("query_id").is_in(queries.implode())).select(
        "query_id", judged_score="score"
    )
    ordered = judged.with_columns(
        rank=pl.col("judged_score").rank("ordinal", descending=True).over("query_id")
    )
    return _means(ordered, len(queries), depth, floor)
