"""Measuring how well a model ranks, and comparing runs."""

from __future__ import annotations

from rankfield.evaluation.baselines import (
    BASELINES,
    BagOfWords,
    evaluate_baseline,
    oracle_ranking,
    popularity_ranking,
    random_ranking,
)
from rankfield.evaluation.compare import Comparison, compare
from rankfield.evaluation.dev import DevSet, dev_ndcg, dev_splits
from rankfield.evaluation.embedding_cache import CachedEmbedder
from rankfield.evaluation.evaluate import Embedder, evaluate, evaluate_rankings
from rankfield.evaluation.intervals import (
    bootstrap_interval,
    bootstrap_intervals,
    mean_interval,
    mean_intervals,
)
from rankfield.evaluation.join_judgments import join_judgments
from rankfield.evaluation.join_run import JudgedRun, join_run
from rankfield.evaluation.protocol import PROTOCOLS, EvaluationProtocol, protocol_named
from rankfield.evaluation.results import (
    DatasetIdentity,
    Results,
    SplitSize,
    save_results,
)
from rankfield.evaluation.retrieve import retrieve
from rankfield.evaluation.slices import slice_comparison, slice_queries, slice_results
from rankfield.evaluation.statistics import PairedTest, holm, paired_test, paired_tests

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "BagOfWords",
    "CachedEmbedder",
    "Comparison",
    "DatasetIdentity",
    "DevSet",
    "Embedder",
    "EvaluationProtocol",
    "JudgedRun",
    "PairedTest",
    "Results",
    "SplitSize",
    "bootstrap_interval",
    "bootstrap_intervals",
    "compare",
    "dev_ndcg",
    "dev_splits",
    "evaluate",
    "evaluate_baseline",
    "evaluate_rankings",
    "holm",
    "join_judgments",
    "join_run",
    "mean_interval",
    "mean_intervals",
    "oracle_ranking",
    "paired_test",
    "paired_tests",
    "popularity_ranking",
    "protocol_named",
    "random_ranking",
    "retrieve",
    "save_results",
    "slice_comparison",
    "slice_queries",
    "slice_results",
]
