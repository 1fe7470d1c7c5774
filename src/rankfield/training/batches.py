"""Which judged pairs make up each step, and the photos they need, read ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, field_columns
from rankfield.errors import DataError, RecipeError
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.training.recipe import Recipe
from rankfield.weighting import score_weights

__all__ = ["PairBatches", "RawBatch", "TrainingPairs"]

_READ_AT_ONCE = 256


@dataclass(frozen=True)
class TrainingPairs:
    """The judged pairs trained on, as row numbers into the tables, with their weights."""

    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, recipe: Recipe, dataset: RankingDataset) -> TrainingPairs:
        """Return the in-domain pairs at or above the recipe's minimum score.

        Raises:
            RecipeError: too few pairs, or the weight function does not fit the scores.
            DataError: a pair of an unknown or a repeated id.
        """
        judgments = dataset.training_judgments()
        if recipe.data.minimum_score is not None:
            judgments = judgments.filter(pl.col("score") >= recipe.data.minimum_score)
        if len(judgments) < recipe.batch.size:
            raise RecipeError(
                f"a batch takes {recipe.batch.size} pairs; {len(judgments)} can be trained on",
                where="recipe, batch.size",
                remedy="Make the batch smaller or lower data.minimum_score.",
            )
        loss = recipe.loss
        return cls(
            _rows(judgments["query_id"], dataset.queries["query_id"]),
            _rows(judgments["doc_id"], dataset.documents["doc_id"]),
            score_weights(
                judgments["score"].to_numpy(),
                dataset.score_scale,
                loss.weight,
                **loss.weight_parameters,
            ).astype(np.float32),
        )


def _rows(ids: pl.Series, table: pl.Series) -> NDArray[np.int64]:
    """Return the row of each id in a table's id column, which must hold it once."""
    positions = pl.DataFrame({"id": table, "row": np.arange(len(table))})
    found = pl.DataFrame({"id": ids}).join(positions, on="id", how="left", maintain_order="left")
    if len(found) != len(ids) or found["row"].has_nulls():
        raise DataError(
            f"judgments name ids that column {table.name!r} lacks or has twice",
            where="judgments",
            remedy="See `rankfield check`; `--fix` writes a cleaned copy.",
        )
    return found["row"].to_numpy()


@dataclass(frozen=True)
class RawBatch:
    """One process's share of a step.

    `pixels` maps (side, image field) to the share's distinct pictures, uint8 U × H × W × 3, in the
    order of their codes.
    """

    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    weights: Tensor
    pixels: dict[tuple[Side, str], Tensor]


class PairBatches(Dataset[RawBatch]):
    """Step → batch, a function of the seed and the step alone, so that a run can go on anywhere.

    Each epoch takes the pairs in a new random order without repetition; the pairs left over at its
    end are dropped. The P processes take interleaved shares of the same global batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: RankingDataset,
        model: RankingModel,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.pairs = TrainingPairs.of(recipe, dataset)
        self.dataset, self.model, self.recipe = dataset, model, recipe
        self.rank, self.processes = rank, processes
        self.columns: dict[Side, list[FieldColumn]] = {
            "query": field_columns(dataset.queries, model.fields("query")),
            "document": field_columns(dataset.documents, model.fields("document")),
        }
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self._cache: dict[tuple[Side, str], tuple[NDArray[np.int64], Tensor]] = {}
        self._require_fields()
        self._fill_cache()

    def __len__(self) -> int:
        return self.recipe.optimizer.steps

    def __getitem__(self, step: int) -> RawBatch:
        """Return this process's share of a step."""
        chosen = self.indices(step)[self.rank :: self.processes]
        rows = {
            "query": self.pairs.query_rows[chosen],
            "document": self.pairs.document_rows[chosen],
        }
        pixels = {}
        for side, columns in self.columns.items():
            for column in columns:
                if column.field.modality == "image":
                    codes = column.codes_of(rows[side])
                    pixels[side, column.field.name] = self._pixels(side, column, codes)
        weights = torch.from_numpy(self.pairs.weights[chosen])
        return RawBatch(rows["query"], rows["document"], weights, pixels)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Return the pairs of the global batch of a step."""
        size = self.recipe.batch.size
        epoch, place = divmod(step, len(self.pairs.weights) // size)
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.recipe.seed, epoch]).permutation(
                len(self.pairs.weights)
            )
            self._order = (epoch, order)
        return self._order[1][place * size : (place + 1) * size]

    def texts(self, side: Side) -> list[str]:
        """Return the distinct texts of this side that training can meet."""
        return [
            str(column.values[code])
            for column in self.columns[side]
            if column.field.modality == "text"
            for code in self._used(side, column)
        ]

    def _used(self, side: Side, column: FieldColumn) -> NDArray[np.int64]:
        """Return the codes of the values that training can meet, rising."""
        rows = self.pairs.query_rows if side == "query" else self.pairs.document_rows
        return column.codes_of(np.unique(rows))

    def _require_fields(self) -> None:
        for side, columns in self.columns.items():
            if not any(len(self._used(side, column)) for column in columns):
                names = ", ".join(column.field.name for column in columns)
                raise RecipeError(
                    f"no {side} to train on has any of the fields {names}", where=self.dataset.name
                )

    def _fill_cache(self) -> None:
        transform = self.model.encoder.image_transform
        images = [
            (side, column, self._used(side, column))
            for side, columns in self.columns.items()
            for column in columns
            if column.field.modality == "image"
        ]
        if transform is None or not images:
            return
        one = transform.height * transform.width * 3
        needed = sum(len(used) for _, _, used in images) * one
        if needed > self.recipe.data.image_cache_mib * 2**20:
            return
        for side, column, used in images:
            with progress("read photos", len(used), unit="photos") as advance:
                pictures = self._read([column.values[code] for code in used], advance)
            self._cache[side, column.field.name] = (used, pictures)

    def _read(self, values: Sequence[str | bytes], advance: Any = None) -> Tensor:
        parts = []
        for start in range(0, len(values), _READ_AT_ONCE):
            part = values[start : start + _READ_AT_ONCE]
            parts.append(self.model.load_pixels(self.dataset, part))
            if advance is not None:
                advance(len(part))
        transform = self.model.encoder.image_transform
        assert transform is not None
        shape = (0, transform.height, transform.width, 3)
        return torch.cat(parts) if parts else torch.empty(shape, dtype=torch.uint8)

    def _pixels(self, side: Side, column: FieldColumn, codes: NDArray[np.int64]) -> Tensor:
        cached = self._cache.get((side, column.field.name))
        if cached is not None:
            known, pictures = cached
            return pictures[torch.from_numpy(np.searchsorted(known, codes))]
        return self._read([column.values[code] for code in codes])
