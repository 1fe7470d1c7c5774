"""Ranking metrics on float scores, one value a query; numpy only.

`JudgedRankings` is what every metric reads, `GainMap` says what a score is worth, `measure`
computes a metric by its name ("nDCG@10"), of which `Metric` is the value. `METRICS` declares each.
"""

from __future__ import annotations

from rankfield.metrics.average_precision import average_precision
from rankfield.metrics.bpref import bpref
from rankfield.metrics.err import err
from rankfield.metrics.family import Family, Parameter
from rankfield.metrics.gains import GainMap
from rankfield.metrics.inferred_average_precision import inferred_average_precision
from rankfield.metrics.judged import judged
from rankfield.metrics.measure import (
    STANDARD_METRICS,
    Mean,
    mean_of_defined,
    measure,
    standard_metrics,
    summarise,
)
from rankfield.metrics.metric import Metric, canonical_name
from rankfield.metrics.ndcg import ndcg
from rankfield.metrics.own_metric import OwnMetric, load_metric
from rankfield.metrics.precision import precision
from rankfield.metrics.rankings import JudgedRankings
from rankfield.metrics.rbp import rbp
from rankfield.metrics.recall import recall
from rankfield.metrics.reciprocal_rank import reciprocal_rank
from rankfield.metrics.success import success
from rankfield.metrics.table import METRICS

__all__ = [
    "METRICS",
    "STANDARD_METRICS",
    "Family",
    "GainMap",
    "JudgedRankings",
    "Mean",
    "Metric",
    "OwnMetric",
    "Parameter",
    "average_precision",
    "bpref",
    "canonical_name",
    "err",
    "inferred_average_precision",
    "judged",
    "load_metric",
    "mean_of_defined",
    "measure",
    "ndcg",
    "precision",
    "rbp",
    "recall",
    "reciprocal_rank",
    "standard_metrics",
    "success",
    "summarise",
]
