"""The text and vision towers that a composed encoder is made of."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.model_config import require_modest
from rankfield.encoders.pretrained import load_model, load_tokenizer, loading, require_plain_files
from rankfield.encoders.token_ids import token_ids
from rankfield.errors import MissingExtraError, ModelError
from rankfield.files import read_json_object

__all__ = ["SentenceTransformersTower", "TextTower", "TransformersTextTower", "VisionTower"]

Pooling = Literal["mean", "cls"]

_PRECOMPUTE_BATCH = 256
_MOST_TOKENS = 512


class TextTower(nn.Module, ABC):
    """Texts to pooled vectors of `width`; a frozen one can remember its output for each text.

    `pretrained` tells a loaded tower from one of random weights.
    """

    kind: str
    width: int
    frozen: bool = False
    pretrained: bool = False

    def __init__(self) -> None:
        super().__init__()
        self._remembered: dict[str, Tensor] = {}

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return padded token ids and mask."""

    @abstractmethod
    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width pooled vectors."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the tower into an existing folder."""

    def freeze(self) -> None:
        """Keep the weights as they are; dropout stays off."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> TextTower:
        """Set training mode, which a frozen tower does not enter."""
        super().train(mode and not self.frozen)
        return self

    def remember(self, texts: Iterable[str]) -> None:
        """Compute a frozen tower's output for these texts once.

        The order and the batches depend on the set of texts alone, so that a resumed run gets the
        same bits.
        """
        wanted = sorted(set(texts), key=lambda text: (len(text), text))
        device = next(self.parameters()).device
        with torch.no_grad():
            for start in range(0, len(wanted), _PRECOMPUTE_BATCH):
                chunk = wanted[start : start + _PRECOMPUTE_BATCH]
                inputs = {k: v.to(device) for k, v in self.tokenize(chunk).items()}
                for text, vector in zip(chunk, self(inputs).cpu(), strict=True):
                    self._remembered[text] = vector.clone()

    def recall(self, texts: Sequence[str]) -> Tensor | None:
        """Return the remembered N × width vectors, or None if one of them is unknown."""
        if not self._remembered or any(text not in self._remembered for text in texts):
            return None
        return torch.stack([self._remembered[text] for text in texts])


def _longest(tokenizer: Any, config: Any) -> int:
    """Return how many tokens a text model takes, at most `_MOST_TOKENS`."""
    positions = getattr(config, "max_position_embeddings", _MOST_TOKENS)
    return int(min(tokenizer.model_max_length, positions, _MOST_TOKENS))


class TransformersTextTower(TextTower):
    """Any text model of `transformers` with mean or first-token pooling."""

    kind = "transformers"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        # A BERT's pooler is not used: without it there are no weights that never learn.
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pooling: Pooling = pooling
        self.width = int(model.config.hidden_size)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return padded token ids and mask, cut at `max_tokens`."""
        return token_ids(
            self.tokenizer,
            texts,
            ["input_ids", "attention_mask"],
            self.model.config,
            padding=True,
            max_length=self.max_tokens,
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width: the mean of the tokens' states, or the first token's."""
        states: Tensor = self.model(**inputs).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)

    def save(self, folder: Path) -> None:
        """Write the model, its tokenizer and the pooling."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        settings = {"max_tokens": self.max_tokens, "pooling": self.pooling}
        (folder / "tower.json").write_text(json.dumps(settings), "utf-8")

    @classmethod
    def load(
        cls, source: str | Path, *, max_tokens: int | None = None, pooling: Pooling = "mean"
    ) -> TransformersTextTower:
        """Load from a hub id or a folder; a folder that `save` wrote knows its own settings.

        Without `max_tokens` texts are cut at the model's length, 512 tokens at most.

        Raises:
            ModelError: it cannot be loaded.
        """
        where = f"text model {source}"
        require_plain_files(source)
        saved = Path(source) / "tower.json"
        if saved.is_file():
            with loading(where):
                settings = read_json_object(saved)
                max_tokens = max_tokens or settings["max_tokens"]
                pooling = settings["pooling"]
        # A text tower is saved without the pooler that it does not use.
        model = load_model(source, where, unused="pooler.")
        if model.main_input_name != "input_ids" or not hasattr(model.config, "hidden_size"):
            raise ModelError(f"is a {type(model).__name__}, not a text model", where=where)
        tokenizer = load_tokenizer(source, where)
        longest = max_tokens or _longest(tokenizer, model.config)
        tower = cls(model, tokenizer, max_tokens=longest, pooling=pooling)
        tower.pretrained = True
        return tower


class SentenceTransformersTower(TextTower):
    """A text model of `sentence-transformers`, with its own pooling and normalisation."""

    kind = "sentence-transformers"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.get_embedding_dimension())
        self.prompts: dict[str, str] = dict(model.prompts or {})

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return padded token ids and mask, cut at the model's own length."""
        features = self.model.preprocess(list(texts))
        return {k: v for k, v in features.items() if isinstance(v, Tensor)}

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width sentence embeddings."""
        vectors: Tensor = self.model(dict(inputs))["sentence_embedding"]
        return vectors

    def save(self, folder: Path) -> None:
        """Write the sentence-transformers folder."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    @classmethod
    def load(
        cls, source: str | Path, *, max_tokens: int | None = None
    ) -> SentenceTransformersTower:
        """Load from a hub id or a folder.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            ModelError: it cannot be loaded.
        """
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(
                "sentence-transformers is not installed",
                remedy="pip install 'rankfield[sentence-transformers]'",
            ) from error
        settings = {"use_safetensors": True, "dtype": torch.float32}
        require_plain_files(source)
        with loading(f"text model {source}"):
            require_modest(source)
            model = SentenceTransformer(
                str(source), device="cpu", model_kwargs=settings, trust_remote_code=False
            )
        if max_tokens:
            model.max_seq_length = max_tokens
        tower = cls(model)
        tower.pretrained = True
        return tower


class VisionTower(nn.Module):
    """Any vision model of `transformers` with a pooled output.

    `pretrained` tells a loaded tower from one of random weights.
    """

    pretrained: bool = False

    def __init__(self, model: Any, transform: ImageTransform) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.transform = transform
        self.frozen = False
        # Convolutional models name the width of each stage, transformers one for all.
        sizes = getattr(model.config, "hidden_sizes", None)
        self.width = int(sizes[-1] if sizes else model.config.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return N × width pooled vectors from uint8 N × H × W × 3 pixels."""
        inputs = self.transform.normalise(pixels).contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.model(inputs).pooler_output
        return pooled.flatten(1)

    def freeze(self) -> None:
        """Keep the weights and the running statistics as they are."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> VisionTower:
        """Set training mode, which a frozen tower does not enter."""
        super().train(mode and not self.frozen)
        return self

    def save(self, folder: Path) -> None:
        """Write the model and the image transform."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.transform.save(folder)

    @classmethod
    def load(cls, source: str | Path) -> VisionTower:
        """Load from a hub id or a folder, with the image transform that belongs to it.

        Raises:
            ModelError: it cannot be loaded.
        """
        where = f"vision model {source}"
        loaded = load_model(source, where)
        # Of a dual encoder, such as CLIP, the vision half.
        model = getattr(loaded, "vision_model", loaded)
        if model.main_input_name != "pixel_values":
            raise ModelError(f"is a {type(model).__name__}, not a vision model", where=where)
        tower = cls(model, ImageTransform.from_pretrained(source))
        tower.pretrained = True
        return tower
