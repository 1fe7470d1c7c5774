"""Rankings without training to compare with."""

from __future__ import annotations

from rankfield.evaluation.baselines.bag_of_words import BagOfWords
from rankfield.evaluation.baselines.by_name import BASELINES, evaluate_baseline
from rankfield.evaluation.baselines.oracle import oracle_ranking
from rankfield.evaluation.baselines.popularity import popularity_ranking
from rankfield.evaluation.baselines.random_order import random_ranking

__all__ = [
    "BASELINES",
    "BagOfWords",
    "evaluate_baseline",
    "oracle_ranking",
    "popularity_ranking",
    "random_ranking",
]
