"""Baselines by the names that the command line gives them."""

from __future__ import annotations

from rankfield.errors import InputError
from rankfield.evaluation.baselines.bag_of_words import BagOfWords
from rankfield.evaluation.baselines.oracle import Oracle
from rankfield.evaluation.baselines.popularity import Popularity
from rankfield.evaluation.baselines.random_order import RandomOrder
from rankfield.evaluation.ranker import Ranker
from rankfield.messages import did_you_mean

__all__ = ["BASELINES", "baseline"]

BASELINES = ("bm25", "random", "popularity", "oracle")
"""Those that need nothing but the data set."""


def baseline(name: str, *, seed: int = 0, popularity_column: str | None = None) -> Ranker:
    """Return one of `BASELINES`.

    Args:
        name: bm25 for `BagOfWords`, random for `RandomOrder`, popularity for `Popularity`, oracle
            for `Oracle`.
        seed: of random.
        popularity_column: of popularity.

    Raises:
        InputError: an unknown name.
        MissingExtraError: bm25s is not installed.
    """
    if name == "bm25":
        return BagOfWords()
    if name == "random":
        return RandomOrder(seed)
    if name == "popularity":
        return Popularity(popularity_column)
    if name == "oracle":
        return Oracle()
    raise InputError(
        f"expected one of {', '.join(BASELINES)}, found {name!r}",
        where="baseline",
        remedy=did_you_mean(name, BASELINES),
    )
