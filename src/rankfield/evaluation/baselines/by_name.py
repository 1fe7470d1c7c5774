"""Baselines by the names that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rankfield.errors import InputError
from rankfield.evaluation.baselines.bag_of_words import BagOfWords
from rankfield.evaluation.baselines.oracle import oracle_ranking
from rankfield.evaluation.baselines.popularity import popularity_ranking
from rankfield.evaluation.baselines.random_order import random_ranking
from rankfield.evaluation.evaluate import evaluate_rankings
from rankfield.evaluation.results import Results
from rankfield.messages import did_you_mean
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits

__all__ = ["BASELINES", "evaluate_baseline"]

BASELINES = ("bm25", "random", "popularity", "oracle")
"""Those that need nothing but the data set."""


def evaluate_baseline(
    name: str,
    dataset: RankingDataset,
    *,
    splits: Sequence[str] | None = None,
    subset: str | None = "test",
    k: int = 1000,
    keep: int = 10,
    label: str | None = None,
    protocol: str = "rankfield",
    seed: int = 0,
    popularity_column: str | None = None,
) -> Results:
    """Return the same as `evaluate` for one of `BASELINES`.

    bm25 is `BagOfWords`, random is `random_ranking`, popularity is `popularity_ranking`, oracle is
    `oracle_ranking`.

    Args:
        name: one of `BASELINES`.
        dataset, splits, subset, k, keep, label, protocol: as `evaluate`.
        seed: of random.
        popularity_column: of popularity.

    Raises:
        InputError: an unknown name.
        DataError, SplitError, MissingExtraError: as the baseline and `evaluate`.
    """
    made: dict[str, Any] = {"baseline": name, "k": k}
    search: Callable[[SplitView], Hits]
    if name == "bm25":
        search = BagOfWords().ranking(dataset, k=k)
    elif name == "random":
        made["seed"] = seed
        search = random_ranking(k=k, seed=seed)
    elif name == "popularity":
        made["column"] = popularity_column
        search = popularity_ranking(dataset, column=popularity_column, k=k)
    elif name == "oracle":
        search = oracle_ranking(k=k)
    else:
        raise InputError(
            f"expected one of {', '.join(BASELINES)}, found {name!r}",
            where="baseline",
            remedy=did_you_mean(name, BASELINES),
        )
    return evaluate_rankings(
        name,
        search,
        dataset,
        splits=splits,
        subset=subset,
        keep=keep,
        label=label,
        protocol=protocol,
        made=made,
    )
