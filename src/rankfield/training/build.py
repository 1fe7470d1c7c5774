"""From a recipe and a data set to an untrained ranking model."""

from __future__ import annotations

import torch

from rankfield.encoders import Encoder, ImageTransform, RankingModel
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import RecipeError
from rankfield.losses import loss_class
from rankfield.messages import first_line
from rankfield.schema import RankingDataset
from rankfield.training.encoder import build_encoder
from rankfield.training.gradient_checkpointing import checkpoint_layers
from rankfield.training.lora import add_adapters
from rankfield.training.recipe import Recipe
from rankfield.training.used_fields import used_fields

__all__ = ["build_model"]


def build_model(recipe: Recipe, dataset: RankingDataset) -> RankingModel:
    """Return the untrained model of a recipe; from-scratch weights come from its seed alone.

    Raises:
        RecipeError: fields that the data lacks, or an encoder that cannot take them; adapters,
            dimensions, augmentation or gradient checkpointing that do not fit the encoder.
        ModelError: a pretrained model that cannot be loaded.
        MissingExtraError: adapters, and peft is not installed.
    """
    try:
        recipe.check_loss()
    except (TypeError, ValueError) as error:  # of the user's own loss, known only now
        raise RecipeError(
            first_line(error), where=f"recipe, loss.name = {recipe.loss.name!r}"
        ) from error
    torch.manual_seed(recipe.seed)
    query_fields = used_fields(recipe.data, dataset, "query")
    document_fields = used_fields(recipe.data, dataset, "document")
    with quiet_transformers():
        encoder = build_encoder(recipe.encoder, dataset, query_fields, document_fields)
        if recipe.data.augment:
            _check_augment(encoder)
        if encoder.fusion == "sequence":
            _check_sequence(recipe)
        if recipe.lora.rank:
            add_adapters(encoder, recipe.lora, frozen=recipe.encoder.freeze)
        if recipe.batch.gradient_checkpointing:
            checkpoint_layers(encoder)
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
        logit_bias=recipe.loss.logit_bias if loss_class(recipe.loss.name).takes_bias else None,
        name=recipe.name,
        learn_field_weights=recipe.encoder.learn_field_weights,
    )


def _check_augment(encoder: Encoder) -> None:
    if "image" in encoder.modalities and not isinstance(encoder.image_transform, ImageTransform):
        raise RecipeError(
            "images are mirrored and shifted where all have one size, found a model that takes "
            "any size",
            where="recipe, data.augment",
            remedy="Leave it out.",
        )


def _check_sequence(recipe: Recipe) -> None:
    """Refuse what needs a vector of each field: there is one of the record alone."""
    needed = {
        "loss.per_field": recipe.loss.per_field,
        "encoder.learn_field_weights": recipe.encoder.learn_field_weights,
    }
    for key, value in needed.items():
        if value:
            raise RecipeError(
                "needs a vector of each field, which fields in one sequence do not have",
                where=f"recipe, {key}",
                remedy="Leave it out, or set encoder.fusion = 'fields'.",
            )
