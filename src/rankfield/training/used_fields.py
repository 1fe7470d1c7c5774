"""Which fields a recipe uses, and which records have none of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pydantic
from numpy.typing import NDArray

from rankfield.encoders.base import Side
from rankfield.errors import RecipeError
from rankfield.field_values import is_absent
from rankfield.schema import Field, RankingDataset
from rankfield.settings import Settings

__all__ = ["DataSection", "absent_rows", "no_record_left", "used_fields", "without_fields"]

_KEYS: dict[Side, str] = {"query": "query_id", "document": "doc_id"}


class DataSection(Settings):
    """Which pairs and fields are trained on."""

    dataset: str = pydantic.Field("", description="data set folder; relative to the recipe")
    minimum_score: float | None = pydantic.Field(
        None, description="train on pairs with at least this score; the rest are left out"
    )
    query_weights: dict[str, float] = pydantic.Field(
        {}, description="query fields to use and their weights; empty: those of the data set"
    )
    document_weights: dict[str, float] = pydantic.Field(
        {}, description="document fields to use and their weights; empty: those of the data set"
    )
    augment: bool = pydantic.Field(
        False, description="flip and shift images at random while training"
    )
    field_dropout: float = pydantic.Field(
        0.0, ge=0, lt=1, description="share of fields left out at random, never all of a record's"
    )
    workers: int = pydantic.Field(0, ge=0, description="processes that make batches ahead")
    image_cache_mib: int = pydantic.Field(
        2048, ge=0, description="keep the resized images in memory if they fit into this"
    )
    image_disk_cache_mib: int = pydantic.Field(
        16384,
        ge=0,
        description="rather keep them in the cache on the disk if they fit into this; 0: never",
    )
    text_disk_cache_mib: int = pydantic.Field(
        16384,
        ge=0,
        description="keep what a frozen text tower gives in the cache if it fits; 0: never",
    )
    vision_disk_cache_mib: int = pydantic.Field(
        16384,
        ge=0,
        description="compute what a frozen vision tower gives once, and keep it there; 0: never",
    )


def used_fields(section: DataSection, dataset: RankingDataset, side: Side) -> list[Field]:
    """Return the fields that the section names, with its weights; all of the data's if none.

    Raises:
        RecipeError: a field that the data lacks, or a weight of 0 or less.
    """
    weights = section.query_weights if side == "query" else section.document_weights
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


def absent_rows(dataset: RankingDataset, side: Side, fields: Sequence[Field]) -> NDArray[np.bool_]:
    """Return for each record whether it has none of these fields."""
    table = dataset.queries if side == "query" else dataset.documents
    absent = [is_absent(field.name, table.schema[field.name]) for field in fields]
    return table.select(pl.all_horizontal(absent)).to_series().to_numpy()


def without_fields(dataset: RankingDataset, side: Side, fields: Sequence[Field]) -> pl.DataFrame:
    """Return the ids (one column) of the records that have none of these fields."""
    table = dataset.queries if side == "query" else dataset.documents
    return table.select(_KEYS[side]).filter(absent_rows(dataset, side, fields))


def no_record_left(dataset: RankingDataset, side: Side, fields: Sequence[Field]) -> RecipeError:
    """Return the error of a recipe whose fields no record to train on has."""
    names = ", ".join(field.name for field in fields)
    return RecipeError(
        f"no {side} to train on has any of the fields {names}",
        where=dataset.name,
        remedy=f"Name others in data.{side}_weights.",
    )
