"""Rankings without training to compare with."""

from __future__ import annotations

from rankfield.evaluation.baselines.bag_of_words import BagOfWords
from rankfield.evaluation.baselines.by_name import BASELINES, baseline
from rankfield.evaluation.baselines.oracle import Oracle
from rankfield.evaluation.baselines.popularity import Popularity
from rankfield.evaluation.baselines.random_order import RandomOrder

__all__ = ["BASELINES", "BagOfWords", "Oracle", "Popularity", "RandomOrder", "baseline"]
