"""Whether a candidate is better than what is served, on queries that nobody was shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.evaluation import (
    EvaluationOptions,
    PairedTest,
    Results,
    evaluate,
    mean_interval,
    paired_test,
)
from rankfield.loop.shop import Shop
from rankfield.metrics import Mean

__all__ = ["METRIC", "held_out_mean", "held_out_results", "prove"]

METRIC = "nDCG@10"


def held_out_results(model: Path, shop: Shop, file: Path) -> Results:
    """Return the results of a model on the held-out queries over all documents.

    They are kept in a file, and read from there the next time.

    Args:
        model: its folder.
        shop: whose held-out queries, dev and test, are judged.
        file: results.json of the round.
    """
    if file.is_file():
        return Results.load(file)
    options = EvaluationOptions(splits=["all"], subset=None)
    found = evaluate(RankingModel.load(model), shop.data, options)
    found.save(file)
    return found


def held_out_mean(results: Results, shop: Shop) -> Mean:
    """Return nDCG@10 over the test queries with its 95 % interval."""
    return mean_interval(_values(results, shop, "test"))


def prove(served: Results, candidate: Results, shop: Shop) -> PairedTest:
    """Return the paired test of nDCG@10 on the dev queries, candidate − served."""
    return paired_test(_values(served, shop, "dev"), _values(candidate, shop, "dev"))


def _values(results: Results, shop: Shop, subset: str) -> NDArray[np.float64]:
    """Return the value of each query of a subset in the order of the shop's; NaN: undefined."""
    queries = shop.data.queries.filter(pl.col("subset") == subset).select("query_id")
    found = queries.join(
        results.queries.select("query_id", METRIC), on="query_id", how="left", maintain_order="left"
    )
    values: NDArray[np.float64] = found[METRIC].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return values
