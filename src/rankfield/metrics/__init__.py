"""Ranking metrics on float scores, one value a query; numpy only.

`JudgedRankings` is what every metric reads, `GainMap` says what a score is worth, `measure`
computes a metric by its name ("nDCG@10"), of which `Metric` is the value.
"""

from __future__ import annotations

from rankfield.metrics.binary import average_precision, precision, recall, reciprocal_rank
from rankfield.metrics.err import err
from rankfield.metrics.gains import GainMap
from rankfield.metrics.judged import judged
from rankfield.metrics.named import Metric, canonical_name
from rankfield.metrics.ndcg import ndcg
from rankfield.metrics.rankings import JudgedRankings
from rankfield.metrics.rbp import rbp
from rankfield.metrics.standard import (
    STANDARD_METRICS,
    Mean,
    mean_of_defined,
    measure,
    standard_metrics,
    summarise,
)

__all__ = [
    "STANDARD_METRICS",
    "GainMap",
    "JudgedRankings",
    "Mean",
    "Metric",
    "average_precision",
    "canonical_name",
    "err",
    "judged",
    "mean_of_defined",
    "measure",
    "ndcg",
    "precision",
    "rbp",
    "recall",
    "reciprocal_rank",
    "standard_metrics",
    "summarise",
]
