"""The judged pairs that are trained on, and which of them a batch happens to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.contents import content_ids
from rankfield.errors import DataError, RecipeError
from rankfield.losses import JudgedPairs
from rankfield.ranges import ranges
from rankfield.schema import RankingDataset
from rankfield.training.recipe import Recipe
from rankfield.training.row_numbers import row_numbers
from rankfield.training.sources import add_judgments
from rankfield.training.used_fields import pairs_with_fields
from rankfield.weighting import pair_weights

__all__ = ["TrainingPairs"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPairs:
    """The judged pairs trained on, each once, by query and then document.

    query_rows, document_rows: int64 P, row numbers into the tables. Records of equal content share
        the first one's row, and judgments that thereby become one have their mean score.
    scores: float64 P.
    weights: float32 P, the weight of the score times the trust in its source.
    skipped: how many judgments were left out because the query or the document has none of the
        fields that the recipe uses.
    """

    query_rows: Ints
    document_rows: Ints
    scores: NDArray[np.float64]
    weights: NDArray[np.float32]
    skipped: int = 0

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        dataset: RankingDataset,
        columns: Mapping[Side, Sequence[FieldColumn]] | None = None,
    ) -> TrainingPairs:
        """Return the in-domain pairs, and those of the recipe's further judgments, at or above its
        minimum score.

        Args:
            recipe: says the minimum score, the weights and the batch that they must fill.
            dataset: split or not.
            columns: the fields of both tables, to find records of equal content; without
                them all records are distinct.

        Raises:
            RecipeError: too few pairs, none with a field that the recipe uses, or the weight
                function does not fit the scores.
            DataError: a pair of an unknown or a repeated id, or a file of judgments that cannot be
                used.
        """
        own = dataset.training_judgments()
        if own.is_empty():
            raise _nothing_to_train(dataset)
        judgments = add_judgments(own, recipe.judgments, dataset)
        if recipe.data.minimum_score is not None:
            judgments = judgments.filter(pl.col("score") >= recipe.data.minimum_score)
        judged = len(judgments)
        judgments = pairs_with_fields(judgments, recipe.data, dataset)
        queries = _rows(judgments["query_id"], dataset.queries["query_id"])
        documents = _rows(judgments["doc_id"], dataset.documents["doc_id"])
        if columns is not None:
            queries = _first_of_content(queries, columns["query"], dataset)
            documents = _first_of_content(documents, columns["document"], dataset)
        merged = _merged(queries, documents, judgments)
        if merged.is_empty():
            raise _too_few(recipe.batch.size, 0)
        queries, documents = merged["query"].to_numpy(), merged["document"].to_numpy()
        scores, scale, loss = merged["score"].to_numpy(), dataset.score_scale, recipe.loss
        weights = pair_weights(queries, scores, scale, loss.weight, **loss.weight_parameters)
        trusted = (weights * merged["trust"].to_numpy()).astype(np.float32)
        pairs = cls(queries, documents, scores, trusted, judged - len(judgments))
        if len(pairs.pool) < recipe.batch.size:
            raise _too_few(recipe.batch.size, len(pairs.pool))
        return pairs

    @cached_property
    def pool(self) -> Ints:
        """The pairs that batches consist of, ascending: those with a weight above 0.

        The others are still known judgments: no document of the query is pushed below them.
        """
        return np.flatnonzero(self.weights > 0)

    def __len__(self) -> int:
        return len(self.query_rows)

    def sampled(self, chosen: Ints, queries: Ints, documents: Ints) -> JudgedPairs:
        """Return the chosen pairs as indices into the batch's rows, which are ascending."""
        return self._as_judged(
            chosen,
            np.searchsorted(queries, self.query_rows[chosen]),
            np.searchsorted(documents, self.document_rows[chosen]),
        )

    def among(self, queries: Ints, documents: Ints) -> JudgedPairs:
        """Return every pair of these query and document rows, both ascending and distinct."""
        starts = np.searchsorted(self.query_rows, queries)
        counts = np.searchsorted(self.query_rows, queries, side="right") - starts
        query, place = ranges(counts)
        pair = starts[query] + place
        rows = self.document_rows[pair]
        document = np.minimum(np.searchsorted(documents, rows), len(documents) - 1)
        present = documents[document] == rows
        return self._as_judged(pair[present], query[present], document[present])

    def judging(self, documents: Ints, most: int, without: Ints, rng: np.random.Generator) -> Ints:
        """Return up to `most` query rows, each with two or more pairs among these documents.

        Drawn without replacement in proportion to that number: Gumbel keys, log count + G.

        Args:
            documents: rows of a batch's documents, ascending and distinct.
            most: how many at most.
            without: query rows that are in the batch already.
            rng: the randomness of the step.
        """
        order, starts = self.by_document
        counts = starts[documents + 1] - starts[documents]
        document, place = ranges(counts)
        judging = self.query_rows[order[starts[documents[document]] + place]]
        queries, times = np.unique(judging, return_counts=True)
        fits = (times > 1) & ~np.isin(queries, without)
        queries, times = queries[fits], times[fits]
        keys = np.log(times) + rng.gumbel(size=len(times))
        return queries[np.argsort(-keys, kind="stable")[:most]]

    @cached_property
    def by_document(self) -> tuple[Ints, Ints]:
        """Return the pairs in the order of their documents, and where each row's begin."""
        counts = np.bincount(self.document_rows)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return np.argsort(self.document_rows, kind="stable"), starts

    def _as_judged(self, pair: Ints, query: Ints, document: Ints) -> JudgedPairs:
        return JudgedPairs(
            torch.from_numpy(query.astype(np.int64)),
            torch.from_numpy(document.astype(np.int64)),
            torch.from_numpy(self.scores[pair]),
            torch.from_numpy(self.weights[pair]),
        )


def _merged(queries: Ints, documents: Ints, judgments: pl.DataFrame) -> pl.DataFrame:
    """Return each pair of rows once, by query and then document: mean score, largest trust."""
    pairs = judgments.select("score", "trust", query=queries, document=documents)
    trusted = pl.col("score").mean(), pl.col("trust").max()
    return pairs.group_by("query", "document").agg(*trusted).sort("query", "document")


def _too_few(size: int, found: int) -> RecipeError:
    return RecipeError(
        f"a batch takes {size} pairs; {found} can be trained on",
        where="recipe, batch.size",
        remedy="Make the batch smaller or lower data.minimum_score.",
    )


def _nothing_to_train(dataset: RankingDataset) -> DataError:
    if dataset.judgments.is_empty():
        return DataError("there are no judgments to train on", where=dataset.name)
    return DataError(
        "every judgment is held out: its query is dev or test, or unseen",
        where=dataset.name,
        remedy="Import its train part too, or divide it again: `rankfield split`.",
    )


def _first_of_content(rows: Ints, columns: Sequence[FieldColumn], dataset: RankingDataset) -> Ints:
    """Replace each row by the first of these rows with the same content."""
    distinct, inverse = np.unique(rows, return_inverse=True)
    contents = content_ids(columns, dataset, distinct)
    first = np.unique(contents, return_index=True)[1]
    found: Ints = distinct[first[contents]][inverse]
    return found


def _rows(ids: pl.Series, table: pl.Series) -> Ints:
    """Return the row of each id in a table's id column, which must hold it once."""
    rows = row_numbers(ids, table)
    if (rows < 0).any():
        raise DataError(
            f"judgments name ids that column {table.name!r} lacks",
            where="judgments",
            remedy="See `rankfield check`; `--fix` writes a cleaned copy.",
        )
    return rows
