"""The same documents for every query, those first that training judged best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search
from rankfield.metrics import GainMap
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits

__all__ = ["Popularity"]


@dataclass(frozen=True)
class Popularity:
    """Gives every query the min(k, N) most popular documents.

    A document's popularity is the sum of its linear gains (`GainMap.linear`) over the training
    judgments: 0 for a document that training never saw. Documents of equal popularity are ordered
    by descending `column`, where one is given (null last), then by row. ``Hits.similarities`` is
    the negated place, equal where nothing tells two documents apart.

    column: a column of numbers of the documents that says how popular they are, such as a count of
        reviews: the only sign for unseen documents.
    """

    column: str | None = None
    name = "popularity"

    @property
    def metadata(self) -> dict[str, Any]:
        """The column."""
        return {"baseline": self.name, "column": self.column}

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Return the search.

        Raises:
            DataError: the documents have no such column, or not of numbers.
        """
        if self.column is not None:
            _check_column(dataset, self.column)
        gains = _training_gains(dataset)
        return lambda view: self._search(view, gains, options.k)

    def _search(self, view: SplitView, gains: pl.DataFrame, k: int) -> Hits:
        # The ids alone: a column of the documents may be called popularity too.
        known = view.documents.select("doc_id").join(
            gains, on="doc_id", how="left", maintain_order="left"
        )
        popularity = known["popularity"].fill_null(0.0).to_numpy()
        further = _numbers(view.documents, self.column)
        order = np.lexsort((-further, -popularity))[:k]
        before, after = order[:-1], order[1:]
        steps = (popularity[before] != popularity[after]) | (further[before] != further[after])
        places = np.concatenate([[0], np.cumsum(steps)])[: len(order)]
        shape = (view.queries.height, len(order))
        return Hits(
            np.broadcast_to(order, shape), np.broadcast_to(-places.astype(np.float32), shape)
        )


def _check_column(dataset: RankingDataset, column: str) -> None:
    frame = dataset.documents
    if column not in frame.columns or not frame.schema[column].is_numeric():
        numbers = [name for name, kind in frame.schema.items() if kind.is_numeric()]
        raise DataError(
            f"expected a column of numbers, found {column!r}; there are "
            f"{', '.join(numbers) or 'none'}",
            where=f"{dataset.name}, documents, popularity column",
        )


def _training_gains(dataset: RankingDataset) -> pl.DataFrame:
    """Return ``doc_id`` and ``popularity`` of the documents that training judged."""
    judgments = dataset.training_judgments()
    gains = GainMap(dataset.score_scale).linear(judgments["score"].cast(pl.Float64).to_numpy())
    # In the order of the table, so that sums are the same to the bit.
    return (
        judgments.select("doc_id", popularity=gains)
        .group_by("doc_id", maintain_order=True)
        .agg(pl.col("popularity").sum())
    )


def _numbers(documents: pl.DataFrame, column: str | None) -> FloatArray:
    if column is None:
        return np.zeros(documents.height)
    numbers = documents[column].cast(pl.Float64).fill_nan(None).fill_null(-np.inf)
    values: FloatArray = numbers.to_numpy()
    return values
