"""From the parts of a query to its vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import InputError
from rankfield.images import open_image
from rankfield.index import Index
from rankfield.query.parts import Content, Part
from rankfield.schema import Field

__all__ = ["Embed", "QueryVector", "records_of", "unit_vectors", "weighted_sum"]

Embed = Callable[[Sequence[Mapping[str, Any]]], npt.NDArray[np.float32]]
"""From records (field name → text or PIL image) to their unit embeddings, float32 (n, D)."""

_LEAST = 1e-3
"""Of the length of the weighted sum, as a share of the sum of the weights."""


@dataclass(frozen=True)
class QueryVector:
    """q = Σ_p shares_p · units_p, of length 1.

    vector: float32 (D,), q rounded.
    units: float64 (P, D), the unit vector of each part.
    shares: float64 (P,), w_p / ‖Σ_p w_p · u_p‖.
    """

    vector: npt.NDArray[np.float32]
    units: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]


def weighted_sum(parts: Sequence[Part], units: npt.NDArray[np.float64]) -> QueryVector:
    """Return the normalised sum of weighted unit vectors (P, D).

    Raises:
        InputError: the sum is near zero, less than a thousandth of the weights.
    """
    weights = np.array([part.weight for part in parts], dtype=np.float64)
    total = weights @ units
    length = float(np.linalg.norm(total))
    if length <= _LEAST * float(np.abs(weights).sum()):
        raise InputError(
            "the parts cancel: their weighted sum is near zero",
            where="query",
            remedy="Change the weights, or leave out one of two parts that mean the same.",
        )
    return QueryVector((total / length).astype(np.float32), units, weights / length)


def unit_vectors(
    contents: Sequence[tuple[str, Content]], model: RankingModel, index: Index, embed: Embed
) -> npt.NDArray[np.float64]:
    """Return the unit vector of each part, float64 (P, D).

    Args:
        contents: place of a part, for messages, and the part.
        model: whose fields for queries the parts go to.
        index: whose documents parts name.
        embed: what embeds records.

    Raises:
        InputError: a part that the model cannot take.
        ImageError: an image that cannot be read.
        DataError: an unknown document.
    """
    liked = [i for i, (_, content) in enumerate(contents) if content.like is not None]
    others = [i for i, (_, content) in enumerate(contents) if content.like is None]
    records = records_of([contents[i] for i in others], model)
    units = np.zeros((len(contents), index.metadata.dimension), dtype=np.float64)
    if liked:
        units[liked] = index.vectors([contents[i][1].like or "" for i in liked])
    if records:
        units[others] = embed(records)
    lengths = np.linalg.norm(units, axis=1, keepdims=True)
    if not lengths.all():
        place, content = contents[int(lengths.argmin())]
        raise InputError(
            f"{content.name!r} has no vector: the model takes nothing of it", where=place
        )
    unit: npt.NDArray[np.float64] = units / lengths
    return unit


def records_of(
    contents: Sequence[tuple[str, Content]], model: RankingModel, side: Side = "query"
) -> list[dict[str, Any]]:
    """Return what the model embeds for each part that is no document: field → text or image.

    Args:
        contents: place of a part, for messages, and the part.
        model: whose fields the parts go to.
        side: which of its fields.

    Raises:
        InputError: a part that the model cannot take.
        ImageError: an image that cannot be read.
    """
    fields = {field.name: field for field in model.fields(side)}
    if (
        side == "query"
        and "image" in model.encoder.modalities
        and not any(field.modality == "image" for field in fields.values())
    ):
        fields["image"] = Field("image", "image")  # as `encode_queries` takes it
    return [_record(place, content, fields, model, side) for place, content in contents]


def _record(
    place: str, content: Content, fields: Mapping[str, Field], model: RankingModel, side: Side
) -> dict[str, Any]:
    given: dict[str, str | bytes] = dict(content.fields or ())
    for modality, value in (("text", content.text), ("image", content.image)):
        if value is not None:
            name = next((f.name for f in fields.values() if f.modality == modality), None)
            if name is None:
                what = f"{side} text" if modality == "text" else "images"
                raise InputError(f"the model takes no {what}", where=f"{place} ({model.name})")
            given[name] = value
    record: dict[str, Any] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            several = "queries" if side == "query" else "documents"
            raise InputError(
                f"the model's {several} have no field {name!r}",
                where=place,
                remedy=f"They have: {', '.join(fields) or 'none'}.",
            )
        if isinstance(value, str) != (field.modality == "text"):
            found = "a text" if isinstance(value, str) else "an image"
            raise InputError(
                f"expected {'a text' if field.modality == 'text' else 'an image (a data URI)'} "
                f"for the field {name!r}, found {found}",
                where=place,
            )
        record[name] = value if isinstance(value, str) else open_image(value, where=place)
    return record
