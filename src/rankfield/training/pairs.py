"""The judged pairs that are trained on, and which of them a batch happens to hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn
from rankfield.errors import RecipeError
from rankfield.losses import JudgedPairs
from rankfield.ranges import ranges
from rankfield.schema import RankingDataset
from rankfield.schema.row_numbers import in_four_bytes
from rankfield.training.pair_arrays import pair_arrays
from rankfield.training.recipe import Recipe
from rankfield.training.used_fields import used_fields

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
    key: of mapped pairs, what they depend on beside the tables; None if that cannot be said.
    """

    query_rows: Ints
    document_rows: Ints
    scores: NDArray[np.float64]
    weights: NDArray[np.float32]
    skipped: int = 0
    key: str | None = None

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
            dataset: split or not. Of a mapped one the pairs are mapped too.
            columns: the fields of both tables, to find records of equal content; without
                them all records are distinct.

        Raises:
            RecipeError: too few pairs, none with a field that the recipe uses, or the weight
                function does not fit the scores.
            DataError: a pair of an unknown or a repeated id, or a file of judgments that cannot be
                used.
        """
        if dataset.mapped is None:
            pairs = cls._found(recipe, dataset, columns)
        else:
            what = _depends_on(recipe, dataset, columns)
            arrays = dataset.mapped.derived(
                what, lambda: cls._found(recipe, dataset, columns)._arrays()
            )
            pairs = cls._of_arrays(arrays, what)
        if not len(pairs):
            raise _too_few(recipe.batch.size, 0)
        if len(pairs.pool) < recipe.batch.size:
            raise _too_few(recipe.batch.size, len(pairs.pool))
        return pairs

    @classmethod
    def _found(
        cls,
        recipe: Recipe,
        dataset: RankingDataset,
        columns: Mapping[Side, Sequence[FieldColumn]] | None,
    ) -> TrainingPairs:
        found = pair_arrays(recipe, dataset, columns)
        return cls(found.queries, found.documents, found.scores, found.weights, found.skipped)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is kept of the pairs in files."""
        order, starts = self.by_document
        return {
            "query_rows": self.query_rows,
            "document_rows": self.document_rows,
            "scores": self.scores,
            "weights": self.weights,
            "skipped": np.array([self.skipped]),
            "pool": self.pool,
            "by_query": self.by_query,
            "order": in_four_bytes(order),
            "starts": starts,
        }

    @classmethod
    def _of_arrays(cls, arrays: Mapping[str, NDArray[Any]], key: str | None) -> TrainingPairs:
        pairs = cls(
            arrays["query_rows"],
            arrays["document_rows"],
            arrays["scores"],
            arrays["weights"],
            int(arrays["skipped"][0]),
            key,
        )
        pairs.__dict__.update(
            pool=arrays["pool"],
            by_query=arrays["by_query"],
            by_document=(arrays["order"], arrays["starts"]),
        )
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
        last = len(self.by_query) - 1
        starts = self.by_query[np.minimum(queries, last)]
        counts = self.by_query[np.minimum(queries + 1, last)] - starts
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
    def by_query(self) -> Ints:
        """Where each query row's pairs begin, and after the last one where they end."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.query_rows))])

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


def _too_few(size: int, found: int) -> RecipeError:
    return RecipeError(
        f"a batch takes {size} pairs; {found} can be trained on",
        where="recipe, batch.size",
        remedy="Make the batch smaller or lower data.minimum_score.",
    )


def _depends_on(
    recipe: Recipe,
    dataset: RankingDataset,
    columns: Mapping[Side, Sequence[FieldColumn]] | None,
) -> str | None:
    """Return all that the pairs depend on beside the tables; None where files of others count."""
    sides: tuple[Side, Side] = ("query", "document")
    fields = [used_fields(recipe.data, dataset, side) for side in sides]
    images = any(field.modality == "image" for side in fields for field in side)
    if recipe.judgments or ":" in recipe.loss.weight or (images and columns is not None):
        return None
    loss = recipe.loss
    said = [recipe.data.minimum_score, loss.weight, loss.weight_parameters, columns is None]
    names = [[field.name for field in side] for side in fields]
    return "pairs " + json.dumps([*said, *names, repr(dataset.score_scale)], sort_keys=True)
