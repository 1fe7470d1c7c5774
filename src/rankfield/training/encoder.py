"""The encoder of a recipe: loaded, composed, or made from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from rankfield.encoders import ComposedEncoder, Encoder, RankingModel, VisionTower
from rankfield.encoders.foreign import (
    open_clip_encoder,
    pretrained_encoder,
    pretrained_text_tower,
)
from rankfield.encoders.own_modules import OwnTextTower, OwnVisionTower, is_factory
from rankfield.encoders.small import small_text_tower, small_vision_tower
from rankfield.encoders.source import model_folder
from rankfield.encoders.text_towers import TextTower, require_sentence_transformers
from rankfield.errors import RecipeError
from rankfield.schema import Field, RankingDataset
from rankfield.settings import Settings

__all__ = ["MODEL_KEYS", "EncoderSection", "build_encoder"]

_REVISIONS = {
    "model": "revision",
    "text_model": "text_revision",
    "vision_model": "vision_revision",
}
MODEL_KEYS = tuple(_REVISIONS)
"""The keys of the section that name models."""
_WHOLE = ("transformers", "sentence-transformers")
"""The kinds whose model is one encoder."""
_PRETRAINED = (*_WHOLE, "open-clip")
_SAVED = "rankfield"
"""The kind whose model rankfield has trained."""
_SMALL = ("small", "composed")
_TOKENIZER_RECORDS = 200_000
"""Of each side, that a small text tower's tokenizer is made from."""
_OF_KINDS = (
    {"model": (*_PRETRAINED, _SAVED), "revision": _PRETRAINED}
    | dict.fromkeys(("query_prefix", "document_prefix"), (*_PRETRAINED, *_SMALL))
    | dict.fromkeys(("text_model", "text_revision"), ("composed",))
    | dict.fromkeys(("vision_model", "vision_revision"), ("composed",))
    | dict.fromkeys(("text_width", "text_layers", "image_size", "image_width"), _SMALL)
    | dict.fromkeys(("dimension", "max_tokens"), _SMALL)
    | {"checkpoint": ("open-clip",), "pooling": (*_WHOLE, "composed"), "fusion": _WHOLE}
)
"""Key → the kinds that have it; the others are of every kind."""


class EncoderSection(Settings):
    """The model that is trained.

    A name is a hub id, a local folder, or "package:NAME" for an installed package with a
    `get_model_path()`; of kind composed also "module:factory", a function that makes a tower.
    """

    kind: Literal[
        "small", "composed", "transformers", "sentence-transformers", "open-clip", "rankfield"
    ] = pydantic.Field(
        "small",
        description="small: from scratch · composed: a text beside a vision model · "
        "transformers: CLIP, SigLIP, or a text or vision model · sentence-transformers: text · "
        "open-clip: CLIP, SigLIP, Marqo's models · rankfield: one that was trained here goes on",
    )
    model: str = pydantic.Field(
        "", description="of kind transformers, sentence-transformers, open-clip or rankfield"
    )
    checkpoint: str = pydantic.Field(
        "", description="weights of kind open-clip, of an architecture such as ViT-B-32"
    )
    revision: str = pydantic.Field(
        "", description="branch, tag or commit of a model of the hub; empty: its main branch"
    )
    text_model: str = pydantic.Field(
        "", description="of kind composed; empty: a small one from scratch"
    )
    text_revision: str = pydantic.Field("", description="of text_model, as revision")
    vision_model: str = pydantic.Field(
        "", description="of kind composed; empty: a small one from scratch"
    )
    vision_revision: str = pydantic.Field("", description="of vision_model, as revision")
    pooling: Literal["", "mean", "cls", "last_token", "pooler"] = pydantic.Field(
        "",
        description="of a text model of transformers; empty: last_token for a decoder, pooler for "
        "half of a dual encoder, else mean",
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
    fusion: Literal["fields", "sequence"] = pydantic.Field(
        "fields",
        description="of a model that reads texts and images in one sequence: the vectors of the "
        "fields are fused, or all fields of a record are one sequence",
    )
    max_tokens: int = pydantic.Field(32, ge=4, description="longer texts are cut")
    freeze: list[Literal["text", "vision"]] = pydantic.Field(
        [], description="towers that are not trained"
    )
    query_prefix: str | None = pydantic.Field(
        None, description='before query texts, such as "query: "; not given: the model\'s prompt'
    )
    document_prefix: str | None = pydantic.Field(
        None, description='before document texts, such as "passage: "; not given: likewise'
    )
    learn_field_weights: bool = pydantic.Field(
        False, description="learn the weights of the fields too, from the given ones on"
    )

    @pydantic.model_validator(mode="after")
    def _fits(self) -> EncoderSection:
        for key, kinds in _OF_KINDS.items():
            if self.kind not in kinds:
                named = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
                needed = f"encoder.kind = {named}, and this is of kind {self.kind}"
                self.refuse_ignored([key], needed)
        if self.kind == "composed":
            self._refuse_of_towers()
        return self

    def _refuse_of_towers(self) -> None:
        """Refuse what no tower of a composed encoder has: each model stands for its keys."""
        if self.text_model:
            self.refuse_ignored(
                ("text_width", "text_layers"), "a small text tower, and there is a text_model"
            )
        if is_factory(self.text_model):
            own = "a text_model that is no module of your own, which cuts and pools by itself"
            self.refuse_ignored(("pooling", "max_tokens", "text_revision"), own)
        elif not self.text_model:
            self.refuse_ignored(("pooling", "text_revision"), "a text_model")
        if self.vision_model:
            self.refuse_ignored(
                ("image_size", "image_width"), "a small vision tower, and there is a vision_model"
            )
        if not self.vision_model or is_factory(self.vision_model):
            self.refuse_ignored(("vision_revision",), "a vision_model of the hub")


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
        InputError: a pooling for a model that has its own.
    """
    encoder: Encoder
    prefixes = {
        "query_prefix": section.query_prefix,
        "document_prefix": section.document_prefix,
    }
    pooling = section.pooling or None
    if section.kind == _SAVED:
        encoder = RankingModel.load(_named(section, "model")).encoder
    elif section.kind == "open-clip":
        encoder = open_clip_encoder(
            _named(section, "model"),
            checkpoint=section.checkpoint or None,
            revision=section.revision or None,
            pooling=pooling,
            **prefixes,
        )
    elif section.kind in _WHOLE:
        if section.kind == "sentence-transformers":
            require_sentence_transformers()
        encoder = pretrained_encoder(
            _folder(section, "model"),
            where=f"model {section.model}",
            pooling=pooling,
            fusion=section.fusion,
            **prefixes,
        )
    else:
        text: TextTower | None = None
        vision: VisionTower | None = None
        modalities = {field.modality for field in (*query_fields, *document_fields)}
        if "text" in modalities:
            text = _text_tower(section, dataset, query_fields, document_fields)
        if "image" in modalities:
            vision = _vision_tower(section)
        encoder = ComposedEncoder(text, vision, dimension=section.dimension, **prefixes)
    for tower in section.freeze:
        if tower not in encoder.towers():
            raise RecipeError(f"there is no {tower} tower", where="recipe, encoder.freeze")
        encoder.freeze(tower)
    return encoder


def _text_tower(
    section: EncoderSection,
    dataset: RankingDataset,
    query_fields: Sequence[Field],
    document_fields: Sequence[Field],
) -> TextTower:
    if section.kind == "composed" and is_factory(section.text_model):
        return OwnTextTower(section.text_model)
    if section.kind == "composed" and section.text_model:
        return pretrained_text_tower(
            _folder(section, "text_model"),
            where=f"text model {section.text_model}",
            max_tokens=section.max_tokens,
            pooling=section.pooling or None,
        )
    return small_text_tower(
        _training_texts(dataset, query_fields, document_fields),
        width=section.text_width,
        layers=section.text_layers,
        max_tokens=section.max_tokens,
    )


def _vision_tower(section: EncoderSection) -> VisionTower:
    if section.kind == "composed" and is_factory(section.vision_model):
        return OwnVisionTower(section.vision_model)
    if section.kind == "composed" and section.vision_model:
        return VisionTower.load(_folder(section, "vision_model"))
    return small_vision_tower(image_size=section.image_size, width=section.image_width)


def _training_texts(
    dataset: RankingDataset, query_fields: Sequence[Field], document_fields: Sequence[Field]
) -> list[str]:
    """Collect the texts that training may see: a tokenizer must not know the held-out ones.

    Of very many records those at equal distances are taken: a vocabulary needs no more.
    """
    rows = dataset.judged_rows()
    seen = dataset.training_mask(rows[0])
    texts = []
    for frame, fields, judged in (
        (dataset.queries, query_fields, rows[0]),
        (dataset.documents, document_fields, rows[1]),
    ):
        trained = judged if seen is None else judged[seen]
        met = np.zeros(frame.height, dtype=bool)
        met[trained[trained >= 0]] = True
        places = np.flatnonzero(met)
        places = places[:: max(1, -(-len(places) // _TOKENIZER_RECORDS))]
        for field in fields:
            if field.modality == "text":
                texts += frame[field.name].gather(places).drop_nulls().unique().to_list()
    return texts


def _folder(section: EncoderSection, key: str) -> Path:
    """Return the folder of the model that a key names; the recipe was let to import a package."""
    name = _named(section, key)
    revision: str = getattr(section, _REVISIONS[key])
    return model_folder(name, revision=revision or None, allow_code=True)


def _named(section: EncoderSection, key: str) -> str:
    name: str = getattr(section, key)
    if not name:
        raise RecipeError(f"kind {section.kind!r} needs a model", where=f"recipe, encoder.{key}")
    return name
