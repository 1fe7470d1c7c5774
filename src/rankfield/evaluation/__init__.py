"""Measuring how well a model ranks, and comparing runs."""

from __future__ import annotations

from rankfield.evaluation.baselines import BagOfWords
from rankfield.evaluation.compare import Comparison, compare
from rankfield.evaluation.embedding_cache import CachedEmbedder
from rankfield.evaluation.evaluate import Embedder, dev_ndcg, evaluate, evaluate_rankings
from rankfield.evaluation.judge import judge
from rankfield.evaluation.results import DatasetIdentity, Results, SplitSize
from rankfield.evaluation.retrieve import retrieve

__all__ = [
    "BagOfWords",
    "CachedEmbedder",
    "Comparison",
    "DatasetIdentity",
    "Embedder",
    "Results",
    "SplitSize",
    "compare",
    "dev_ndcg",
    "evaluate",
    "evaluate_rankings",
    "judge",
    "retrieve",
]
