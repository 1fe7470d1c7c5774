"""Batches that hold several judged documents of a query, for sentence-transformers' trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers.judged_rows import judged_rows
from rankfield.integrations.sentence_transformers.library import needs_library
from rankfield.integrations.sentence_transformers.score_weights import scale_of
from rankfield.training.order import BatchSection, Choice, epoch_order

with needs_library(__name__):
    from sentence_transformers.base.sampler import DefaultBatchSampler

__all__ = ["QueryGroupBatchSampler"]

_DEFAULT = BatchSection()


class QueryGroupBatchSampler(DefaultBatchSampler):  # type: ignore[misc]
    """Rows in the order of `rankfield train`: a query's documents go together in small groups.

    For ``batch_sampler=`` of the trainer's arguments: the class itself, or
    ``functools.partial(QueryGroupBatchSampler, documents_per_query=8)``. With rows in random order
    a batch rarely holds two documents of a query, and a loss that ranks has little to compare.

    The order is a function of seed and epoch alone. An epoch has as many rows as the data set;
    "uniform" and "stratified" take each once.

    Args:
        dataset: a `datasets.Dataset`: the query in its first column, the label a score or, as
            `with_weights` makes it, [score, weight].
        batch_size: rows of a batch. Where one ends within a group, the next goes on with it.
        drop_last: leave out a last batch of fewer rows.
        valid_label_columns: what the labels' column may be called.
        generator: not used.
        seed: of the order.
        documents_per_query: how many judged documents of a query go together.
        choice: how they are chosen, see `batch.choice` of a recipe: "balanced", "stratified",
            "uniform", "score", which needs the weights, or "soft_balanced", for which scores up
            to 0 are worth nothing.

    Raises:
        DataError: no column of labels, labels that are not finite, or "score" without weights.
        ValueError: an unknown choice, or fewer than one document.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        *,
        valid_label_columns: list[str] | None = None,
        generator: Any = None,
        seed: int = 0,
        documents_per_query: int = _DEFAULT.documents_per_query,
        choice: Choice = _DEFAULT.choice,
    ) -> None:
        super().__init__(dataset, batch_size, drop_last, valid_label_columns, generator, seed)
        if documents_per_query < 1:
            raise ValueError(f"documents_per_query={documents_per_query}: expected at least 1")
        if choice not in get_args(Choice):
            raise ValueError(f"choice={choice!r}: expected one of {', '.join(get_args(Choice))}")
        self.rows = judged_rows(dataset, valid_label_columns)
        if choice == "score" and self.rows.weights is None:
            raise DataError(
                "choice='score' draws by weight, and the labels have none",
                where=f"dataset, column {self.rows.label!r}",
                remedy="Use with_weights(dataset).",
            )
        self.documents_per_query, self.choice = documents_per_query, choice
        self.scale = scale_of(None, self.rows.scores)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the row numbers of each batch of the epoch."""
        order = epoch_order(
            self.rows.queries,
            self.rows.scores,
            self.rows.scores if self.rows.weights is None else self.rows.weights,
            documents_per_query=self.documents_per_query,
            choice=self.choice,
            clusters=None,
            scale=self.scale,
            rng=np.random.default_rng([self.seed, self.epoch]),
        ).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        rows, size = len(self.rows.queries), int(self.batch_size)
        return rows // size if self.drop_last else -(-rows // size)
