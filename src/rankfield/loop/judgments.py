"""From the service's UBI events to further judgments, and how close they are to the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from rankfield.files import new_file
from rankfield.formats.tables.query_texts import same_query
from rankfield.io.parquet import read_parquet
from rankfield.labels import LabelOptions, make_labels
from rankfield.loop.shop import Shop

__all__ = ["ClickJudgments", "mean_tau", "training_judgments"]

_FEWEST = 5


@dataclass(frozen=True)
class ClickJudgments:
    """What the clicks say.

    path: of the judgments, a table for `[[judgments]]`.
    pairs: how many.
    propensities: θ by place, as estimated from the clicks alone.
    tau, naive_tau: `mean_tau` with the hidden relevance of the corrected scores, and of click
        rates that nothing corrects; None where no query has enough documents.
    """

    path: Path
    pairs: int
    propensities: tuple[float, ...]
    tau: float | None
    naive_tau: float | None


def training_judgments(events: Path, folder: Path, shop: Shop) -> ClickJudgments:
    """Make `labels/` and `judgments.parquet` in a folder from all events so far.

    The scores are corrected for position bias by the click model (`labels.make_labels`); their
    texts become the ids of the shop's queries.

    Args:
        events: the service's folder of UBI files.
        folder: of the round.
        shop: whose queries were asked.

    Raises:
        DataError: no event can be used.
        OutputError: the folder cannot be written.
    """
    scores, naive = folder / "labels", folder / "naive-labels"
    for made in (scores, naive):
        shutil.rmtree(made, ignore_errors=True)
    found = make_labels(events, scores)
    make_labels(events, naive, LabelOptions(propensities="none"))
    judged = _with_ids(scores, shop)
    with new_file(folder / "judgments.parquet") as temporary:
        judged.write_parquet(temporary)
    return ClickJudgments(
        folder / "judgments.parquet",
        judged.height,
        tuple(found.propensities.values.tolist()),
        mean_tau(judged, shop.truth),
        mean_tau(_with_ids(naive, shop), shop.truth),
    )


def _with_ids(labels: Path, shop: Shop) -> pl.DataFrame:
    """Return query_id, doc_id, score with the ids of the shop's queries."""
    texts = read_parquet(labels / "queries.parquet").select(
        pl.col("query_id").alias("text_id"), same_query(pl.col("query")).alias("text")
    )
    known = shop.visitors.select("query_id", same_query(pl.col("query")).alias("text"))
    ids = texts.join(known, on="text", how="inner").select("text_id", "query_id")
    judged = read_parquet(labels / "judgments.parquet")
    return (
        judged.rename({"query_id": "text_id"})
        .join(ids, on="text_id", how="inner", maintain_order="left")
        .select("query_id", "doc_id", "score")
    )


def mean_tau(judged: pl.DataFrame, truth: pl.DataFrame) -> float | None:
    """Return Kendall's τ-b between scores and hidden relevance, the mean over queries.

    A query counts from five judged documents on, if neither side gives all of them the same.

    Args:
        judged: `query_id`, `doc_id`, `score`.
        truth: the same; a pair that is missing has relevance 0.
    """
    both = judged.join(
        truth.rename({"score": "truth"}), on=["query_id", "doc_id"], how="left"
    ).with_columns(pl.col("truth").fill_null(0.0))
    values = [
        float(kendalltau(group["score"].to_numpy(), group["truth"].to_numpy()).statistic)
        for group in both.partition_by("query_id", maintain_order=True)
        if group.height >= _FEWEST
    ]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None
