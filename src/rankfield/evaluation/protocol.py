"""By which rules figures are computed: rankfield's own, or those of a published evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from rankfield.errors import DataError, MetricError
from rankfield.evaluation.beir import beir_mean, beir_values
from rankfield.evaluation.intervals import mean_intervals
from rankfield.evaluation.marqo_gs import (
    DEPTH,
    QUERIES,
    SEED,
    marqo_gs_mean,
    marqo_gs_values,
    marqo_gs_view,
)
from rankfield.messages import did_you_mean
from rankfield.metrics import JudgedRankings, Mean, standard_metrics
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import ScoreScale, SplitView
from rankfield.search import Hits

__all__ = ["PROTOCOLS", "EvaluationProtocol", "protocol_named"]

_BEIR_CUTOFFS = (1, 3, 5, 10, 100, 1000)


@dataclass(frozen=True)
class EvaluationProtocol:
    """The rules of an evaluation, from a split's judgments to means over queries.

    name: what `Results.protocol` says.
    main: the metrics that tables show.
    view: the split as the rules see it: which queries, which grades.
    values: split, hits, the hits' scores and the scale → metric → value of each query.
    mean: metric and values → mean; None: over the queries where it is defined.
    settings: what `Results.metadata` says of the rules.
    note: what a reader of the figures must know.
    """

    name: str
    main: tuple[str, ...]
    view: Callable[[SplitView], SplitView]
    values: Callable[[SplitView, Hits, JudgedRankings, ScoreScale], dict[str, FloatArray]]
    mean: Callable[[str, FloatArray], float] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def means(self, values: Mapping[str, FloatArray], *, seed: int) -> dict[str, Mean]:
        """Return metric → mean with its interval (`mean_interval`), drawn by `seed`."""
        found = mean_intervals(values, seed=seed)
        if self.mean is None:
            return found
        return {n: replace(mean, value=self.mean(n, values[n])) for n, mean in found.items()}


def protocol_named(name: str) -> EvaluationProtocol:
    """Return one of `PROTOCOLS`.

    Raises:
        MetricError: an unknown name.
    """
    if name not in PROTOCOLS:
        raise MetricError(
            f"expected one of {', '.join(PROTOCOLS)}, found {name!r}",
            where="protocol",
            remedy=did_you_mean(name, PROTOCOLS),
        )
    return PROTOCOLS[name]


def _beir_view(view: SplitView) -> SplitView:
    """Return the judged queries, with grades cut to whole numbers."""
    grades = view.judgments["score"].cast(pl.Float64).cast(pl.Int64, strict=False)
    judgments = view.judgments.with_columns(score=grades)
    if not (grades > 0).any():
        raise DataError(
            "no score of 1 or more: BEIR cuts scores to whole numbers, and nothing is relevant",
            where=f"split {view.name}",
            remedy="Use rankfield's own protocol, or multiply the scores.",
        )
    queries = view.queries.join(judgments, on="query_id", how="semi", maintain_order="left")
    return SplitView(view.name, queries, view.documents, judgments)


PROTOCOLS: dict[str, EvaluationProtocol] = {
    protocol.name: protocol
    for protocol in (
        EvaluationProtocol(
            "rankfield",
            ("nDCG@10", "ERR@10", "RR@10", "mAP@1000", "R@100", "Judged@10"),
            view=lambda view: view,
            values=lambda _view, _hits, judged, scale: standard_metrics(judged, scale),
        ),
        EvaluationProtocol(
            "marqo-gs",
            ("NDCG@10", "mERR", "mRBP7", "mRBP8", "mRBP9", "MAP@1000", "MRR@1000"),
            view=marqo_gs_view,
            values=lambda view, hits, _judged, _scale: marqo_gs_values(view, hits),
            mean=marqo_gs_mean,
            settings={"marqo-gs": {"queries": QUERIES, "seed": SEED, "depth": DEPTH}},
            note=f"up to {QUERIES:,} queries drawn by their summed scores, grades 1 to 100",
        ),
        EvaluationProtocol(
            "beir",
            ("NDCG@10", "MAP@1000", "Recall@100", "P@10", "MRR@10"),
            view=_beir_view,
            values=lambda view, hits, _judged, _scale: beir_values(view, hits, _BEIR_CUTOFFS),
            mean=lambda _name, values: beir_mean(values),
            note="scores cut to whole numbers, a grade above 0 is relevant",
        ),
    )
}
"""Name → rules."""
