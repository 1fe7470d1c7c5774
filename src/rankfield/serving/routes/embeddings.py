"""`/v1/embeddings`, as OpenAI's clients ask for them."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AfterValidator, Field, StrictStr

from rankfield.encoders.base import Side
from rankfield.query.parts import Content, Image, Text
from rankfield.query.vectors import records_of
from rankfield.serving.access import needs
from rankfield.serving.bodies import (
    check_pixels,
    json_body,
    json_response,
    service_of,
    settings_of,
)
from rankfield.serving.failures import Failure
from rankfield.serving.schemas import body_schema
from rankfield.serving.served_index import Opened
from rankfield.serving.service import Service
from rankfield.settings import Settings

__all__ = ["Input", "Wanted", "embeddings", "router"]

router = APIRouter(dependencies=[Depends(needs("read"))], tags=["embeddings"])


class Input(Settings):
    """A text, an image as a data URI, or both."""

    text: Text | None = None
    image: Image | None = None


def _given(value: Input) -> Input:
    if value.text is None and value.image is None:
        raise ValueError("expected a text or an image, found none")
    return value


Inputs = Annotated[Input, AfterValidator(_given)]


class Wanted(Settings):
    """What to embed.

    input: a text, {"text", "image"}, or a list of these.
    model: the name of an index, its model's name or fingerprint; where there are several.
    encoding_format: "base64": little-endian float32.
    dimensions: normalise(e[:d]).
    input_type: which side of the model; "passage" is "document".
    user: passed over.
    """

    input: Annotated[Text, StrictStr] | Inputs | list[Annotated[Text, StrictStr] | Inputs]
    model: Annotated[str, Field(max_length=1_000)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["query", "document", "passage"] = "query"
    user: str | None = None

    def inputs(self) -> list[Input]:
        """Return the inputs as a list."""
        several = self.input if isinstance(self.input, list) else [self.input]
        return [Input(text=one) if isinstance(one, str) else one for one in several]


@router.post("/v1/embeddings", openapi_extra=body_schema(Wanted))
async def embeddings(request: Request) -> Response:
    """Embed texts and images with the model of an index."""
    service = service_of(request)
    wanted = settings_of(await json_body(request), Wanted)
    inputs = wanted.inputs()
    if not 0 < len(inputs) <= service.limits.inputs:
        raise Failure(
            422,
            f"input: expected 1 to {service.limits.inputs} inputs, found {len(inputs)}",
            code="too_many_inputs" if inputs else "invalid_value",
            param="input",
        )
    pairs = [(f"input.{i}", one.image) for i, one in enumerate(inputs)]
    check_pixels(((place, image) for place, image in pairs if image is not None), service.limits)
    side: Side = "query" if wanted.input_type == "query" else "document"

    def work() -> dict[str, Any]:
        opened = _opened(service, wanted.model)
        width = opened.model.dimension
        if wanted.dimensions is not None and wanted.dimensions > width:
            raise Failure(
                422,
                f"dimensions: at most {width}, found {wanted.dimensions}",
                code="invalid_value",
                param="dimensions",
            )
        contents = [
            (f"request, input.{i}", Content(text=one.text, image=one.image))
            for i, one in enumerate(inputs)
        ]
        records = records_of(contents, opened.model, side)
        vectors = opened.embedder.embed(records, side, wanted.dimensions)
        texts = [one.text for one in inputs if one.text is not None]
        count = opened.embedder.tokens(texts, side)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": i, "embedding": _encoded(vector, wanted)}
                for i, vector in enumerate(vectors)
            ],
            "model": opened.index.metadata.model,
            "model_fingerprint": opened.embedder.fingerprint,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }

    return json_response(await service.read(work))


def _encoded(vector: npt.NDArray[np.float32], wanted: Wanted) -> str | list[float]:
    if wanted.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers


def _opened(service: Service, name: str | None) -> Opened:
    """Return the index whose model is asked for."""
    if name is None or name in service.indexes:
        return service.index(name).current()
    for index in service.indexes.values():
        opened = index.current()
        if name in (opened.index.metadata.model, opened.embedder.fingerprint):
            return opened
    raise Failure(404, f"there is no model {name[:100]!r}", code="unknown_model", param="model")
