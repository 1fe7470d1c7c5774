"""An encoder that reads texts and images in one sequence, such as Qwen3-VL-Embedding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from rankfield.encoders.base import Fusion, Side, Tower, WholeEncoder
from rankfield.encoders.sequence_model import load_sequence_model, video_settings
from rankfield.encoders.token_ids import checked_ids
from rankfield.encoders.without_video import without_video
from rankfield.errors import ModelError
from rankfield.files import read_json_object, write_json
from rankfield.schema import Modality

__all__ = ["Content", "SequenceEncoder"]

_CONFIG = "sequence.json"
_VIDEO_FILE = "video_preprocessor_config.json"
_TEXT_TOWERS = ("language_model", "text_model")
_VISION_TOWERS = ("visual", "vision_tower", "vision_model", "vision_encoder")
# Attributes of processors that hold a token which stands for an image, a video or a sound.
_MEDIA = ("image_token", "video_token", "audio_token")

Content = tuple[str, Sequence[Image.Image]]
"""What one sequence holds: a text, "" for none, and RGB images."""


class SequenceEncoder(WholeEncoder):
    """A model of sentence-transformers that takes chat messages of texts and images.

    A sequence is one message of the user, its images first and then its text, by the model's own
    chat template and processor; the prefix of its side is the system's message. Pooling, dense
    layers and `truncate_dim` are the model's own.

    Args:
        model: a `SentenceTransformer` that `reads_sequences`.
        fusion: "sequence": all fields of a record are one sequence; "fields": each value of a
            field is one, and the vectors are fused.
        query_prefix, document_prefix: by default the prompts that `encode_query` and
            `encode_document` of sentence-transformers take.
        video: settings of the model's video processor, which are saved with it.
    """

    kind = "sequence"
    batch_size = 16

    def __init__(
        self,
        model: Any,
        *,
        fusion: Fusion = "fields",
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        video: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.fusion = fusion
        self.dimension = int(model.get_embedding_dimension())
        self.prefixes: dict[Side, str] = {
            "query": _prompt(model, query_prefix, "query"),
            "document": _prompt(model, document_prefix, "document", "passage", "corpus"),
        }
        self.video = video

    def prepare(self, contents: Sequence[Content], side: Side) -> dict[str, Tensor]:
        """Return what `encode` takes of N sequences.

        Token tensors have a row for each sequence; those of images may have any shape.

        Raises:
            ModelError: a sequence whose images alone are too long, or a damaged tokenizer.
        """
        inputs = [self._input(text, images) for text, images in contents]

        def made() -> dict[str, Tensor]:
            with without_video():
                found = self.model.preprocess(inputs, prompt=self.prefixes[side], task=side)
            return {name: value for name, value in found.items() if isinstance(value, Tensor)}

        known = self.model[0].config.get_text_config().vocab_size
        try:
            return checked_ids(made, "input_ids", known)
        except ModelError as error:
            if "token count" not in str(error):
                raise
            raise ModelError(
                f"images of one record take more than the {self.model.max_seq_length} tokens "
                "that the model reads",
                where="model",
                remedy="Lower the largest image size in its preprocessor_config.json, or give "
                "fewer images.",
            ) from error

    def _input(self, text: str, images: Sequence[Image.Image]) -> dict[str, Any]:
        """Return a record as sentence-transformers takes it.

        A dictionary says what is text: a bare string that looks like the address of an image
        would be fetched.
        """
        record: dict[str, Any] = {"image": list(images)} if images else {}
        if text or not images:
            record["text"] = self._plain(text)
        return record

    def _plain(self, text: str) -> str:
        """Return a text in which nothing stands for an image that is not there."""
        processor = self.model[0].processor
        for name in _MEDIA:
            token = getattr(processor, name, None)
            if isinstance(token, str) and token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def encode(self, modality: Modality, items: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        """Return N × D vectors, not normalised, of what `prepare` returned."""
        return self.encode_text(dict(items))

    def tokenize(self, texts: Sequence[str], side: Side) -> dict[str, Tensor]:
        """Return what `encode_text` takes for texts alone."""
        return self.prepare([(text, ()) for text in texts], side)

    def encode_text(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised."""
        found = self.model({**inputs, "modality": "message"})
        vectors: Tensor = found["sentence_embedding"]
        return vectors[:, : self.dimension]

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Raise a ModelError: images of this encoder are prepared with their text."""
        raise ModelError(
            f"takes images in a sequence, found {tuple(pixels.shape)} pixels",
            where="model",
            remedy="Give records to encode_documents.",
        )

    def towers(self) -> dict[Tower, nn.Module]:
        """Return the language model and the vision model, those that can be told apart."""
        found: dict[Tower, nn.Module] = {}
        names: dict[Tower, tuple[str, ...]] = {"text": _TEXT_TOWERS, "vision": _VISION_TOWERS}
        whole = self.model[0].model
        for tower, known in names.items():
            module = next((m for name in known if (m := getattr(whole, name, None))), None)
            if isinstance(module, nn.Module):
                found[tower] = module
        return found if "text" in found else {"text": whole}

    def save(self, folder: Path, *, alone: bool = False) -> None:
        """Write the sentence-transformers folder, with the prefixes as its prompts.

        `alone`: without what only `load` reads.
        """
        prompts = self.model.prompts
        self.model.prompts = {**prompts, **self.prefixes}
        try:
            with without_video():
                self.model.save_pretrained(str(folder), create_model_card=False)
        finally:
            self.model.prompts = prompts
        if self.video is not None and not (folder / _VIDEO_FILE).exists():
            write_json(folder / _VIDEO_FILE, self.video)
        if alone:
            return
        prefixes = {f"{side}_prefix": prefix for side, prefix in self.prefixes.items()}
        config = {"fusion": self.fusion, **prefixes}
        (folder / _CONFIG).write_text(json.dumps(config), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> SequenceEncoder:
        """Read what `save` wrote."""
        settings = read_json_object(folder / _CONFIG)
        model = load_sequence_model(folder, str(folder))
        return cls(model, **settings, video=video_settings(folder))


def _prompt(model: Any, given: str | None, *names: str) -> str:
    """Return the prompt of a side as sentence-transformers chooses it."""
    if given is not None:
        return given
    prompts: Mapping[str, str | None] = model.prompts or {}
    name = next((name for name in names if name in prompts), model.default_prompt_name)
    return prompts.get(name) or ""
