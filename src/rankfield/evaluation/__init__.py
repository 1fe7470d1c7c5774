"""Measuring how well a model ranks, and comparing runs."""

from __future__ import annotations

from rankfield.evaluation.baselines import (
    BASELINES,
    BagOfWords,
    Oracle,
    Popularity,
    RandomOrder,
    baseline,
)
from rankfield.evaluation.compare import Comparison, compare
from rankfield.evaluation.dev import DevSet, dev_ndcg, dev_splits
from rankfield.evaluation.evaluate import evaluate, evaluate_rankings
from rankfield.evaluation.index_ranker import IndexRanker
from rankfield.evaluation.intervals import (
    bootstrap_interval,
    bootstrap_intervals,
    mean_interval,
    mean_intervals,
)
from rankfield.evaluation.join_judgments import join_judgments
from rankfield.evaluation.join_run import JudgedRun, join_run
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.protocol import PROTOCOLS, EvaluationProtocol, protocol_named
from rankfield.evaluation.ranker import Embedder, ModelRanker, Ranker
from rankfield.evaluation.results import (
    DatasetIdentity,
    Results,
    SplitSize,
    save_results,
)
from rankfield.evaluation.retrieve import retrieve
from rankfield.evaluation.run_ranker import RunRanker
from rankfield.evaluation.slices import slice_comparison, slice_queries, slice_results
from rankfield.evaluation.statistics import PairedTest, holm, paired_test, paired_tests

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "BagOfWords",
    "Comparison",
    "DatasetIdentity",
    "DevSet",
    "Embedder",
    "EvaluationOptions",
    "EvaluationProtocol",
    "IndexRanker",
    "JudgedRun",
    "ModelRanker",
    "Oracle",
    "PairedTest",
    "Popularity",
    "RandomOrder",
    "Ranker",
    "Results",
    "RunRanker",
    "SplitSize",
    "baseline",
    "bootstrap_interval",
    "bootstrap_intervals",
    "compare",
    "dev_ndcg",
    "dev_splits",
    "evaluate",
    "evaluate_rankings",
    "holm",
    "join_judgments",
    "join_run",
    "mean_interval",
    "mean_intervals",
    "paired_test",
    "paired_tests",
    "protocol_named",
    "retrieve",
    "save_results",
    "slice_comparison",
    "slice_queries",
    "slice_results",
]
