"""`fields.json`: what a client that knows single texts and images needs to embed a whole record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.files import write_json
from rankfield.schema import Modality

__all__ = ["fields_value", "fuses", "modalities", "prefix", "write_fields"]

_SEQUENCE = (
    "e = normalise(the model's vector of one message: the images of the fields that are present, "
    "then their texts, joined by line breaks), cut to `dimension` and normalised again; a side's "
    "prefix is the system's message, and weights have no effect"
)
_FUSION = (
    "e = normalise(sum over the fields that are present of weight * v), cut to `dimension` and "
    "normalised again; v = normalise(mean of a field's unit vectors); a text gets its side's prefix"
)


def prefix(model: RankingModel, side: Side) -> str:
    """Return what the encoder puts before each text of a side."""
    prefixes: dict[Side, str] = getattr(model.encoder, "prefixes", {})
    return prefixes.get(side, "")


def fuses(model: RankingModel) -> bool:
    """Return whether a record may have several vectors: some fields, or a field of images.

    They are cut to the model's dimension after the fusion, so a client must give them whole.
    """
    sides = (model.fields("query"), model.fields("document"))
    return any(len(fields) > 1 or fields[0].modality == "image" for fields in sides if fields)


def modalities(model: RankingModel) -> frozenset[Modality]:
    """Return what the fields of both sides hold: an encoder may take more."""
    return frozenset(f.modality for f in (*model.fields("query"), *model.fields("document")))


def fields_value(model: RankingModel) -> dict[str, Any]:
    """Return the fields of both sides with their weights and prefixes, as JSON."""
    return {
        "dimension": model.dimension,
        "query": _side(model, "query"),
        "document": _side(model, "document"),
        "fusion": _SEQUENCE if model.encoder.fusion == "sequence" else _FUSION,
    }


def write_fields(model: RankingModel, folder: Path) -> None:
    """Write `fields.json` into an existing folder."""
    write_json(folder / "fields.json", fields_value(model))


def _side(model: RankingModel, side: Side) -> dict[str, Any]:
    fields = [vars(field) for field in model.current_fields(side)]
    return {"prefix": prefix(model, side), "fields": fields}
