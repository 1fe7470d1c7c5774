"""A published engine folder run as the engine runs it: graph, tokenizer, pooling by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from rankfield.encoders.base import Side
from rankfield.errors import ModelError

__all__ = ["EngineClient", "EngineSettings"]


@dataclass(frozen=True)
class EngineSettings:
    """What an engine's own configuration says.

    output: of the graph. pooling: "mean", "cls" or "none". normalise: whether the vector is.
    prefixes: what the engine puts before texts of each side. dimension: it keeps so many.
    """

    output: str
    pooling: str
    normalise: bool
    prefixes: dict[Side, str]
    dimension: int


class EngineClient:
    """The steps of an engine on the CPU, text by text, as engines do it.

    Args:
        graph: the ONNX file's bytes.
        tokenizer: the text of `tokenizer.json`.
        settings: read from the engine's configuration.

    Raises:
        ModelError: the graph has no such output, or one that does not go with the pooling.
    """

    def __init__(self, graph: bytes, tokenizer: str, settings: EngineSettings) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._settings = settings
        self._inputs = [one.name for one in self._session.get_inputs()]
        shapes = {one.name: one.shape for one in self._session.get_outputs()}
        axes = len(shapes.get(settings.output, ()))
        if axes != (2 if settings.pooling == "none" else 3):
            raise ModelError(
                f"pooling {settings.pooling!r} of the output {settings.output!r}, which has "
                f"{axes} axes; the graph has {', '.join(shapes)}",
                where="model.onnx",
            )

    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × d vectors of texts without prefix, as the engine's configuration says."""
        prefix = self._settings.prefixes[side]
        return np.stack([self._vector(prefix + text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        tokens = self._tokenizer.encode(text)
        given: dict[str, Any] = {
            "input_ids": tokens.ids,
            "attention_mask": tokens.attention_mask,
            "token_type_ids": tokens.type_ids,
        }
        inputs = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        (output,) = self._session.run([self._settings.output], inputs)
        found = output[0]
        if self._settings.pooling == "mean":
            mask = inputs["attention_mask"][0][:, None].astype(np.float32)
            found = (found * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1e-9)
        elif self._settings.pooling == "cls":
            found = found[0]
        found = found[: self._settings.dimension]
        if self._settings.normalise:
            found = found / np.linalg.norm(found)
        vector: NDArray[np.float32] = found.astype(np.float32)
        return vector

    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:  # noqa: ARG002
        """Engines embed no images.

        Raises:
            ModelError: always.
        """
        raise ModelError("the engine embeds no images", where="encode_images")
