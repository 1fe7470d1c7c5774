"""A pretrained text-and-image dual encoder of `transformers`: the CLIP and SigLIP families."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rankfield.encoders.base import Side, Tower, WholeEncoder
from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.encoders.pretrained import load_model, load_tokenizer
from rankfield.encoders.source import model_folder
from rankfield.encoders.token_ids import token_ids
from rankfield.errors import ModelError
from rankfield.files import read_json_object

__all__ = ["DualEncoder"]

_CONFIG = "dual.json"


class DualEncoder(WholeEncoder):
    """A model with `get_text_features` and `get_image_features`, by hub id or local folder."""

    kind = "transformers"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        transform: ImageTransform | PatchTransform,
        *,
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.transform = transform
        self.image_transform = transform
        self.prefixes: dict[Side, str] = {"query": query_prefix, "document": document_prefix}
        config = model.config
        projection = getattr(config, "projection_dim", None)
        self.dimension = int(projection or config.text_config.projection_size)
        self.max_tokens = int(config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to full length, and without a mask.
        self.pads_to_full_length = "siglip" in config.model_type

    def tokenize(self, texts: Sequence[str], side: Side) -> dict[str, Tensor]:
        """Return token ids (and a mask, where the model takes one), cut at the model's length."""
        return token_ids(
            self.tokenizer,
            [self.prefixes[side] + text for text in texts],
            ["input_ids"] if self.pads_to_full_length else ["input_ids", "attention_mask"],
            self.model.config.text_config,
            padding="max_length" if self.pads_to_full_length else True,
            max_length=self.max_tokens,
        )

    def encode_text(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised."""
        vectors: Tensor = self.model.get_text_features(**inputs).pooler_output
        return vectors

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return N × D vectors, not normalised, from uint8 pixels as the transform gives them."""
        inputs = self.transform.inputs(pixels)
        vectors: Tensor = self.model.get_image_features(**inputs).pooler_output
        return vectors

    def towers(self) -> dict[Tower, nn.Module]:
        """Return both towers."""
        return {"text": self.model.text_model, "vision": self.model.vision_model}

    def save(self, folder: Path) -> None:
        """Write the model, its tokenizer and the image transform."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        self.transform.save(folder)
        config = {
            "query_prefix": self.prefixes["query"],
            "document_prefix": self.prefixes["document"],
        }
        (folder / _CONFIG).write_text(json.dumps(config), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> DualEncoder:
        """Read what `save` wrote."""
        prefixes = read_json_object(folder / _CONFIG)
        return cls.from_pretrained(folder, **prefixes)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        query_prefix: str = "",
        document_prefix: str = "",
        revision: str | None = None,
    ) -> DualEncoder:
        """Load by hub id, of this revision, or from a folder as `transformers` writes it.

        Raises:
            ModelError: it cannot be loaded, or is not a dual encoder.
        """
        where = f"model {source}"
        folder = model_folder(source, where=where, revision=revision)
        model = load_model(folder, where)
        if not (hasattr(model, "get_text_features") and hasattr(model, "get_image_features")):
            raise ModelError(
                f"is a {type(model).__name__}, not a text-and-image dual encoder",
                where=where,
                remedy="Use kind = 'composed' or 'sentence-transformers'.",
            )
        # SigLIP 2 of any shape (NaFlex); those of a fixed resolution are of the type "siglip".
        patches = model.config.model_type == "siglip2"
        return cls(
            model,
            load_tokenizer(folder, where),
            (PatchTransform if patches else ImageTransform).from_pretrained(folder),
            query_prefix=query_prefix,
            document_prefix=document_prefix,
        )
