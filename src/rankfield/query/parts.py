"""What a query asks for: weighted texts, images, records of fields, and documents to be like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator
from pydantic import Strict as Exactness

from rankfield.query.images import data_uri, image_bytes, is_data_uri
from rankfield.settings import Settings
from rankfield.unicode_text import is_blank

__all__ = ["MAX_ID", "MAX_TEXT", "MAX_WEIGHT", "Content", "Excluded", "Image", "Part", "Text"]

MAX_TEXT = 10_000
"""Characters of a text."""

MAX_ID = 1_000
"""Characters of an id or of the name of a column."""

MAX_WEIGHT = 1e6
"""Of a weight, positive or negative."""

_MAX_FIELDS = 32


def _said(text: str) -> str:
    if is_blank(text):
        raise ValueError("expected a text, found nothing that can be seen")
    return text


def _named(value: object) -> object:
    """Return fields as pairs, whose images are bytes."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if not isinstance(value, tuple):
        return value
    return tuple(
        (name, image_bytes(one) if isinstance(one, bytes) or _is_image(one) else one)
        for name, one in value
    )


def _is_image(value: object) -> bool:
    return isinstance(value, str) and is_data_uri(value)


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_said)]
Image = Annotated[
    bytes, BeforeValidator(image_bytes), PlainSerializer(data_uri, when_used="json")
]  # fmt: skip
"""The bytes of an encoded image; in JSON a data URI."""

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
_Fields = Annotated[
    tuple[tuple[_Id, Text | bytes], ...],
    Exactness(False),
    BeforeValidator(_named),
    Field(min_length=1, max_length=_MAX_FIELDS),
]


class Content(Settings):
    """What one part holds: exactly one of text and image (or both), fields, like.

    text, image: one vector of both, if both are given, by the weights of the model's fields for
        queries; the first text field and the image field.
    fields: named fields of the model's queries, likewise one vector: name → text or image.
    like: the id of a document, whose stored vector counts.
    """

    text: Text | None = None
    image: Image | None = None
    fields: _Fields | None = None
    like: _Id | None = None

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [
            self.text is not None or self.image is not None,
            self.fields is not None,
            self.like is not None,
        ]
        if sum(given) != 1:
            raise ValueError(
                "expected one of text and image, fields, or like; found "
                + ("none" if not any(given) else "several")
            )
        return self

    def content_json(self) -> dict[str, Any]:
        """Return the values that are given, as JSON holds them."""
        found: dict[str, Any] = self.model_dump(
            mode="json", exclude_defaults=True, exclude={"fields"}
        )
        if self.fields is not None:
            found["fields"] = {
                name: value if isinstance(value, str) else data_uri(value)
                for name, value in self.fields
            }
        return found

    @property
    def name(self) -> str:
        """How explanations and messages call it."""
        if self.like is not None:
            return f"like:{self.like}"
        if self.fields is not None:
            return " + ".join(
                f"{name}={value}" if isinstance(value, str) else f"{name}=image"
                for name, value in self.fields
            )
        parts = [self.text or "", "image" if self.image is not None else ""]
        return " + ".join(part for part in parts if part)


class Part(Content):
    """A weighted part: its unit vector counts `weight` times; negative: the less like it."""

    weight: float = Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)


class Excluded(Content):
    """What results must not be like: documents of a similarity above `above` are left out."""

    above: float = Field(ge=-1, le=1)
