"""More judgments: the scores of a cross-encoder or a language model as one more teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from rankfield.errors import DataError
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.settings import Settings

__all__ = ["JudgmentSource", "add_judgments", "map_scores"]

Floats = NDArray[np.float64]

_PAIR = ["query_id", "doc_id"]


class JudgmentSource(Settings):
    """Scores of one more teacher, such as a cross-encoder or a language model."""

    path: str = Field(
        min_length=1, description="Parquet or CSV: query_id, doc_id, score; relative to the recipe"
    )
    trust: float = Field(0.5, gt=0, le=1, description="1 is that of the data set's judgments")
    map: Literal["ranks", "linear", "none"] = Field(
        "ranks", description="how scores get onto the data set's scale"
    )


def add_judgments(
    judgments: pl.DataFrame,
    sources: Sequence[JudgmentSource],
    dataset: RankingDataset,
    *,
    report: Callable[[str], None] | None = None,
) -> pl.DataFrame:
    """Return the judgments with those of the sources added.

    The columns are ``query_id``, ``doc_id``, ``score`` (float64, on the data set's scale) and
    ``trust`` (float64, 0 < trust ≤ 1). With t = 1 for the data set's own judgments and s_k the
    mapped score of the k-th that judges a pair,

        score = Σ_k t_k · s_k / Σ_k t_k            trust = max_k t_k

    The data set's own pairs come first, in their order, then what the sources add, in theirs. Pairs
    of a held-out query or document are left out before scores are mapped: training must not see
    them.

    Args:
        judgments: the training judgments; ``query_id``, ``doc_id``, ``score``.
        sources: from a recipe, their paths resolved.
        dataset: the data set of the judgments.
        report: gets one line per source: how many of its pairs are known, new, and left out.

    Raises:
        DataError: a file that cannot be read, or a row with an unknown or missing id, a pair that
            is duplicated, a score that is not finite or that cannot be mapped; says where.
    """
    own = judgments.select(*_PAIR, pl.col("score").cast(pl.Float64), trust=pl.lit(1.0))
    parts = [own]
    for source in sources:
        table = read_table(Path(source.path))
        found = _training_pairs(table, dataset)
        if found.height:
            mapped = _mapped(table, found, source, own["score"].to_numpy(), dataset.score_scale)
            parts.append(found.select(_PAIR).with_columns(score=mapped, trust=pl.lit(source.trust)))
        if report is not None:
            shared = found.join(own, on=_PAIR, how="semi").height
            report(
                f"{source.path}: {shared:,} pairs are judged already, {found.height - shared:,} "
                f"are new, {table.frame.height - found.height:,} are held out and left out"
            )
    score, trust = pl.col("score"), pl.col("trust")
    mean = (score * trust).sum() / trust.sum()
    return (
        pl.concat(parts)
        .group_by(_PAIR, maintain_order=True)
        # Rounding must not move the mean out of the scale.
        .agg(score=mean.clip(score.min(), score.max()), trust=trust.max())
    )


def map_scores(scores: Floats, how: str, training: Floats, scale: ScoreScale) -> Floats:
    """Return scores (float64) on the data set's scale; the order of the scores is kept.

    "linear": minimum + (s − min s) · (maximum − minimum) / (max s − min s).
    "ranks": the quantile of the training scores at (r − ½) / n, r the rank of s among the n scores
        from 1 (ties share their mean rank), between training scores by straight lines (Hazen).
        Scores that are the training scores stay as they are.
    "none": as they are.

    Raises:
        DataError: "linear" of equal scores; "ranks" without training scores.
    """
    if how == "none":
        return scores
    if how == "linear":
        low, high = scores.min(), scores.max()
        if low == high:
            raise DataError(
                f"all scores are {low:g}; a linear map needs two that differ",
                remedy='Take map = "ranks" or "none".',
            )
        share = (scores - low) / (high - low)
        mapped: Floats = scale.minimum + share * (scale.maximum - scale.minimum)
        return np.clip(mapped, scale.minimum, scale.maximum)
    if not len(training):
        raise DataError("there are no training scores whose distribution to take")
    ranks = pl.Series(scores).rank("average").to_numpy()
    return np.quantile(training, (ranks - 0.5) / len(scores), method="hazen")


def _training_pairs(table: Table, dataset: RankingDataset) -> pl.DataFrame:
    """Return the rows whose pair training may see, with their number in the file as ``row``."""
    table.require_columns(*_PAIR, "score")
    _check_ids(table, "query_id", dataset.queries, "queries")
    _check_ids(table, "doc_id", dataset.documents, "documents")
    twice = table.frame.select(pl.int_range(pl.len()).over(_PAIR) > 0).to_series()
    table.refuse("doc_id", twice, "the document {} is duplicated for its query")
    scores = _scores(table)
    return (
        table.frame.select(_PAIR)
        .with_columns(score=scores)
        .with_row_index("row")
        .join(dataset.training_queries(), on="query_id", how="semi", maintain_order="left")
        .join(dataset.training_documents(), on="doc_id", how="semi", maintain_order="left")
    )


def _check_ids(table: Table, name: str, known: pl.DataFrame, what: str) -> None:
    ids = table.frame[name]
    if ids.dtype != pl.String:
        raise DataError(f"expected text, found {ids.dtype}", where=f"{table.path}, column {name!r}")
    found = ids.is_in(known[name].implode()).fill_null(False) & ids.is_not_null()
    table.refuse(name, ~found, f"{{}} is not among the {what}")


def _scores(table: Table) -> pl.Series:
    raw = table.frame["score"]
    text = raw.dtype == pl.String
    if not text and not raw.dtype.is_numeric():
        raise DataError(
            f"expected numbers, found {raw.dtype}", where=f"{table.path}, column 'score'"
        )
    scores = (raw.str.strip_chars() if text else raw).cast(pl.Float64, strict=False)
    table.refuse(
        "score", ~scores.is_finite().fill_null(False), "expected a finite number, found {}"
    )
    return scores


def _mapped(
    table: Table,
    found: pl.DataFrame,
    source: JudgmentSource,
    training: Floats,
    scale: ScoreScale,
) -> Floats:
    scores = found["score"].to_numpy()
    if source.map == "none":
        outside = (scores < scale.minimum) | (scores > scale.maximum)
        bad = np.zeros(table.frame.height, dtype=bool)
        bad[found["row"].to_numpy()[outside]] = True
        message = f"the score {{}} lies outside the scale [{scale.minimum:g}, {scale.maximum:g}]"
        remedy = 'Take map = "ranks" or "linear".'
        table.refuse("score", pl.Series(bad), message, remedy)
    try:
        return map_scores(scores, source.map, training, scale)
    except DataError as error:
        raise DataError(error.problem, where=str(table.path), remedy=error.remedy) from None
