"""Which fields a recipe uses, and which records have none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from rankfield.encoders.base import Side
from rankfield.errors import RecipeError
from rankfield.field_values import is_absent
from rankfield.schema import Field, RankingDataset
from rankfield.training.recipe import Recipe

__all__ = ["pairs_with_fields", "used_fields", "without_fields"]

_SIDES: tuple[Side, ...] = ("query", "document")
_KEYS: dict[Side, str] = {"query": "query_id", "document": "doc_id"}


def used_fields(recipe: Recipe, dataset: RankingDataset, side: Side) -> list[Field]:
    """Return the fields that the recipe names, with its weights; all of the data's if none.

    Raises:
        RecipeError: a field that the data lacks, or a weight of 0 or less.
    """
    data = recipe.data
    weights: Mapping[str, float]
    weights = data.query_weights if side == "query" else data.document_weights
    fields = dataset.query_fields if side == "query" else dataset.document_fields
    known = {field.name: field for field in fields}
    for name, weight in weights.items():
        where = f"recipe, data.{side}_weights"
        if name not in known:
            raise RecipeError(
                f"the data has no {side} field {name!r}; it has {', '.join(known)}", where=where
            )
        if not 0 < weight < float("inf"):
            raise RecipeError(
                f"expected a weight above 0 for {name!r}, found {weight}", where=where
            )
    if not weights:
        return list(fields)
    return [Field(name, known[name].modality, weight) for name, weight in weights.items()]


def without_fields(dataset: RankingDataset, side: Side, fields: Sequence[Field]) -> pl.DataFrame:
    """Return the ids (one column) of the records that have none of these fields."""
    table = dataset.queries if side == "query" else dataset.documents
    absent = [is_absent(field.name, table.schema[field.name]) for field in fields]
    return table.filter(pl.all_horizontal(absent)).select(_KEYS[side])


def pairs_with_fields(
    judgments: pl.DataFrame, recipe: Recipe, dataset: RankingDataset
) -> pl.DataFrame:
    """Return the judgments whose query and document each have a field that the recipe uses.

    A model takes nothing of the others, so that there is nothing to train on.

    Args:
        judgments: ``query_id`` and ``doc_id``, any other columns.
        recipe: names the fields.
        dataset: the data set of the judgments.

    Raises:
        RecipeError: there are judgments, but none of them is left.
    """
    for side in _SIDES:
        fields = used_fields(recipe, dataset, side)
        absent = without_fields(dataset, side, fields)
        if absent.is_empty() or judgments.is_empty():
            continue
        judgments = judgments.join(absent, on=_KEYS[side], how="anti", maintain_order="left")
        if judgments.is_empty():
            names = ", ".join(field.name for field in fields)
            raise RecipeError(
                f"no {side} to train on has any of the fields {names}",
                where=dataset.name,
                remedy=f"Name others in data.{side}_weights.",
            )
    return judgments
