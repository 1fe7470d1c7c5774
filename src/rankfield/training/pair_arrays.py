"""Which judged pairs a recipe trains on, found by row numbers: no id is looked at twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.contents import first_of_content
from rankfield.errors import DataError
from rankfield.schema import RankingDataset
from rankfield.schema.row_numbers import row_numbers
from rankfield.training.recipe import Recipe
from rankfield.training.sources import add_judgments
from rankfield.training.used_fields import absent_rows, no_record_left, used_fields
from rankfield.weighting import pair_weights

__all__ = ["PairArrays", "pair_arrays"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_SIDES: tuple[Side, ...] = ("query", "document")


@dataclass(frozen=True)
class PairArrays:
    """The pairs of `TrainingPairs`, each once, by query and then document.

    queries, documents: int64 P, rows of the tables.
    scores: float64 P.
    weights: float32 P.
    skipped: judgments left out for want of a field.
    """

    queries: Ints
    documents: Ints
    scores: Floats
    weights: NDArray[np.float32]
    skipped: int


@dataclass(frozen=True)
class _Judged:
    """Judgments by rows; trust None: 1 each."""

    queries: Ints
    documents: Ints
    scores: Floats
    trust: Floats | None

    def __len__(self) -> int:
        return len(self.scores)

    def where(self, kept: NDArray[np.bool_]) -> _Judged:
        if kept.all():
            return self
        trust = None if self.trust is None else self.trust[kept]
        return _Judged(self.queries[kept], self.documents[kept], self.scores[kept], trust)


def pair_arrays(
    recipe: Recipe,
    dataset: RankingDataset,
    columns: Mapping[Side, Sequence[FieldColumn]] | None,
) -> PairArrays:
    """Return the pairs to train on, as `TrainingPairs.of` describes them.

    Raises:
        RecipeError, DataError: as it does.
    """
    judged = _training(recipe, dataset)
    if recipe.data.minimum_score is not None:
        judged = judged.where(judged.scores >= recipe.data.minimum_score)
    found = len(judged)
    judged = _with_fields(judged, recipe, dataset)
    skipped = found - len(judged)
    if columns is not None:
        judged = _Judged(
            _first_of_content(judged.queries, columns["query"], dataset),
            _first_of_content(judged.documents, columns["document"], dataset),
            judged.scores,
            judged.trust,
        )
    judged = _merged(judged, dataset.height("documents"))
    loss, weights = recipe.loss, np.zeros(0)
    if len(judged):
        weights = pair_weights(
            judged.queries,
            judged.scores,
            dataset.score_scale,
            loss.weight,
            **loss.weight_parameters,
        )
    trusted = weights if judged.trust is None else weights * judged.trust
    return PairArrays(
        judged.queries, judged.documents, judged.scores, trusted.astype(np.float32), skipped
    )


def _training(recipe: Recipe, dataset: RankingDataset) -> _Judged:
    """Return the judgments that training may see, each pair of ids once."""
    if not recipe.judgments:
        queries, documents = dataset.judged_rows()
        scores = dataset.judgments["score"].cast(pl.Float64).to_numpy()
        kept = dataset.training_mask(queries)
        if kept is not None:
            queries, documents, scores = queries[kept], documents[kept], scores[kept]
        if not len(scores):
            raise _nothing_to_train(dataset)
        own = _Judged(queries.astype(np.int64), documents.astype(np.int64), scores, None)
        _require_known(own)
        keys = _keys(own, dataset.height("documents"))
        keys.sort()
        if not (keys[1:] == keys[:-1]).any():
            return own
    frame = add_judgments(dataset.training_judgments(), recipe.judgments, dataset)
    if frame.is_empty():
        raise _nothing_to_train(dataset)
    mixed = _Judged(
        row_numbers(frame["query_id"], dataset.queries["query_id"]),
        row_numbers(frame["doc_id"], dataset.documents["doc_id"]),
        frame["score"].to_numpy(),
        frame["trust"].to_numpy(),
    )
    _require_known(mixed)
    return mixed


def _require_known(judged: _Judged) -> None:
    for rows, name in ((judged.queries, "query_id"), (judged.documents, "doc_id")):
        if rows.min(initial=0) < 0:
            raise DataError(
                f"judgments name ids that column {name!r} lacks",
                where="judgments",
                remedy="See `rankfield check`; `--fix` writes a cleaned copy.",
            )


def _with_fields(judged: _Judged, recipe: Recipe, dataset: RankingDataset) -> _Judged:
    """Leave out the judgments whose query or document has no field that the recipe uses."""
    for side in _SIDES:
        fields = used_fields(recipe.data, dataset, side)
        absent = absent_rows(dataset, side, fields)
        if not absent.any() or not len(judged):
            continue
        rows = judged.queries if side == "query" else judged.documents
        judged = judged.where(~absent[rows])
        if not len(judged):
            raise no_record_left(dataset, side, fields)
    return judged


def _first_of_content(rows: Ints, columns: Sequence[FieldColumn], dataset: RankingDataset) -> Ints:
    """Replace each row by the first of these rows with the same content."""
    size = max((len(column.starts) - 1 for column in columns), default=0)
    met = np.zeros(size, dtype=bool)
    met[rows] = True
    distinct = np.flatnonzero(met)
    first = np.zeros(size, dtype=np.int64)
    if len(columns) == 1 and columns[0].field.modality == "text":
        positions, codes = columns[0].entries_of(distinct)
        first[distinct] = distinct
        of_code = np.zeros(len(columns[0].values), dtype=np.int64)
        of_code[codes[::-1]] = distinct[positions[::-1]]  # the last to be written is the first row
        first[distinct[positions]] = of_code[codes]
    else:
        first[distinct] = first_of_content(columns, dataset, distinct)
    return first[rows]


def _keys(judged: _Judged, documents: int) -> Ints:
    return judged.queries * documents + judged.documents


def _merged(judged: _Judged, documents: int) -> _Judged:
    """Return each pair of rows once, by query and then document: mean score, largest trust."""
    keys = _keys(judged, documents)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    kept = order[new]
    scores = judged.scores[kept]
    trust = None if judged.trust is None else judged.trust[kept]
    if not new.all():
        last = np.append(new[1:], True)
        repeated = order[~(new & last)]
        frame = pl.DataFrame(
            {
                "key": keys[repeated],
                "score": judged.scores[repeated],
                "trust": np.ones(len(repeated)) if trust is None else judged.trust[repeated],  # type: ignore[index]
            }
        )
        means = frame.group_by("key").agg(pl.col("score").mean(), pl.col("trust").max())
        places = np.searchsorted(ordered[new], means["key"].to_numpy())
        scores[places] = means["score"].to_numpy()
        if trust is not None:
            trust[places] = means["trust"].to_numpy()
    return _Judged(judged.queries[kept], judged.documents[kept], scores, trust)


def _nothing_to_train(dataset: RankingDataset) -> DataError:
    if dataset.judgments.is_empty():
        return DataError("there are no judgments to train on", where=dataset.name)
    return DataError(
        "every judgment is held out: its query is dev or test, or unseen",
        where=dataset.name,
        remedy="Import its train part too, or divide it again: `rankfield split`.",
    )
