"""The text towers that a composed encoder is made of."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankfield.encoders.model_config import require_modest
from rankfield.encoders.pooling import Pooling, pooled, usual_pooling
from rankfield.encoders.pretrained import load_model, load_tokenizer, loading, require_plain_files
from rankfield.encoders.source import model_folder
from rankfield.encoders.token_ids import token_ids
from rankfield.encoders.tower_settings import tower_settings
from rankfield.encoders.unpadded import can_unpad, is_padded_right, unpadded_states
from rankfield.errors import MissingExtraError, ModelError
from rankfield.files import read_json_object

__all__ = [
    "WEIGHTS",
    "SentenceTransformersTower",
    "TextTower",
    "TransformersTextTower",
    "open_sentence_transformer",
    "require_sentence_transformers",
]

WEIGHTS = {"use_safetensors": True, "dtype": torch.float32}
"""How sentence-transformers reads weights."""

_TOWER = "tower.json"
_MOST_TOKENS = 512


class TextTower(nn.Module, ABC):
    """Texts to pooled vectors of `width`; a frozen one can remember its output for each text.

    `pretrained` tells a loaded tower from one of random weights; `prompts` are the model's own
    prefixes by name.
    """

    kind: str
    width: int
    frozen: bool = False
    pretrained: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.prompts: dict[str, str] = {}
        self._outputs: list[Tensor] = []
        self._places: dict[str, tuple[int, int]] = {}

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

    def settings(self) -> list[Any] | None:
        """Return what beside weights and tokens its output depends on; None: it is not known."""
        return tower_settings(self, self.width)

    def unpads(self) -> bool:
        """Return whether padding costs `forward` nothing but attention, as the tower is now."""
        return False

    def remember(self, texts: Sequence[str], outputs: Tensor) -> None:
        """Have `recall` return these N × width outputs for these texts."""
        self._outputs.append(outputs)
        block = len(self._outputs) - 1
        self._places.update((text, (block, row)) for row, text in enumerate(texts))

    def recall(self, texts: Sequence[str]) -> Tensor | None:
        """Return the remembered N × width vectors, or None if one of them is unknown."""
        if not self._places or any(text not in self._places for text in texts):
            return None
        places = [self._places[text] for text in texts]
        return torch.stack([self._outputs[block][row] for block, row in places])


class TransformersTextTower(TextTower):
    """Any text model of `transformers`, an encoder or a decoder, with a stated pooling.

    `mean` is the mean of the tokens' last states; `cls` and `last_token` are the state of the first
    and of the last token; `pooler` is the model's own pooled output. Texts are padded on the right
    whatever the tokenizer's setting, which leaves positions and causal attention as they are
    without padding.
    """

    kind = "transformers"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        # Without a pooler that is not used there are no weights that never learn.
        if pooling != "pooler" and getattr(model, "pooler", None) is not None:
            model.pooler = None
        model.config.use_cache = False  # of a decoder, for generation alone
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pooling: Pooling = pooling
        self.width = int(model.config.hidden_size)
        # SigLIP was trained on texts padded to full length, and without a mask.
        self.pads_to_full_length = "siglip" in model.config.model_type

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return padded token ids and mask (where the model takes one), cut at `max_tokens`."""
        full = self.pads_to_full_length
        return token_ids(
            self.tokenizer,
            texts,
            ["input_ids"] if full else ["input_ids", "attention_mask"],
            self.model.config,
            padding="max_length" if full else True,
            padding_side="right",
            max_length=self.max_tokens,
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width pooled vectors; without a mask every place counts, as in the model."""
        if self.unpads() and is_padded_right(inputs):
            states = unpadded_states(
                lambda **packed: self.model(**packed).last_hidden_state, self.model, inputs
            )
            return pooled(states, inputs["attention_mask"], self.pooling)
        output = self.model(**inputs)
        if self.pooling == "pooler":
            vectors: Tensor = output.pooler_output
            return vectors
        mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
        return pooled(output.last_hidden_state, mask, self.pooling)

    def unpads(self) -> bool:
        """Return whether it trains a model that `can_unpad`."""
        return self.training and self.pooling != "pooler" and can_unpad(self.model)

    def settings(self) -> list[Any] | None:
        """Return the settings of the model, and the pooling."""
        return [super().settings(), self.pooling]

    def save(self, folder: Path) -> None:
        """Write the model, its tokenizer and the pooling."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        settings = {"max_tokens": self.max_tokens, "pooling": self.pooling}
        (folder / _TOWER).write_text(json.dumps(settings), "utf-8")

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        max_tokens: int | None = None,
        pooling: Pooling | None = None,
        revision: str | None = None,
    ) -> TransformersTextTower:
        """Load from a hub id or a folder; a folder that `save` wrote knows its own settings.

        Without `max_tokens` texts are cut at the model's length, 512 tokens at most. Without
        `pooling` it is the last token of a decoder, the pooled output of the text half of a dual
        encoder such as CLIP, and else the mean.

        Raises:
            ModelError: it cannot be loaded.
        """
        where = f"text model {source}"
        folder = model_folder(source, where=where, revision=revision)
        require_plain_files(folder)
        if (folder / _TOWER).is_file():
            with loading(where):
                settings = read_json_object(folder / _TOWER)
                max_tokens = max_tokens or settings["max_tokens"]
                pooling = pooling or settings["pooling"]
        # A text tower is saved without the pooler that it does not use.
        unused = "\0" if pooling == "pooler" else "pooler."
        loaded = load_model(folder, where, unused=unused)
        model = getattr(loaded, "text_model", loaded)
        if model.main_input_name != "input_ids" or not hasattr(model.config, "hidden_size"):
            raise ModelError(f"is a {type(model).__name__}, not a text model", where=where)
        if getattr(model.config, "is_encoder_decoder", False):
            raise ModelError(
                "is an encoder-decoder, which has no vector of a text",
                where=where,
                remedy="Take a model of sentence-transformers that is made of its encoder.",
            )
        tokenizer = load_tokenizer(folder, where)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        tower = cls(
            model,
            tokenizer,
            max_tokens=max_tokens or _longest(tokenizer, model.config),
            pooling=pooling or ("pooler" if model is not loaded else usual_pooling(model.config)),
        )
        tower.pretrained = True
        return tower


def _longest(tokenizer: Any, config: Any) -> int:
    """Return how many tokens a text model takes, at most `_MOST_TOKENS`."""
    positions = getattr(config, "max_position_embeddings", _MOST_TOKENS)
    return int(min(tokenizer.model_max_length, positions, _MOST_TOKENS))


def require_sentence_transformers() -> None:
    """Look for the library, before a model is looked up that only it can load.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("sentence_transformers") is None:
        raise MissingExtraError(
            "sentence-transformers is not installed",
            remedy="pip install 'rankfield[sentence-transformers]'",
        )


def open_sentence_transformer(folder: Path) -> Any:
    """Return a folder's `SentenceTransformer`, float32, on the CPU; no code of it is run."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(folder),
        device="cpu",
        model_kwargs=dict(WEIGHTS),
        trust_remote_code=False,
        local_files_only=True,
    )


class SentenceTransformersTower(TextTower):
    """A text model of `sentence-transformers`, with its own pooling, dense layers, normalisation.

    Where its configuration has a `truncate_dim`, vectors are cut to that many dimensions.
    """

    kind = "sentence-transformers"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.get_embedding_dimension())
        self.prompts = dict(model.prompts or {})

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return padded token ids and mask, cut at the model's own length."""
        features = self.model.preprocess(list(texts))
        return {k: v for k, v in features.items() if isinstance(v, Tensor)}

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width sentence embeddings."""
        features: dict[str, Any] = dict(inputs)
        if self.unpads() and is_padded_right(inputs):
            first, *others = self.model
            features["token_embeddings"] = unpadded_states(
                lambda **packed: first(packed)["token_embeddings"], first.model, inputs
            )
            for module in others:
                features = module(features)
        else:
            features = self.model(features)
        vectors: Tensor = features["sentence_embedding"]
        return vectors[:, : self.width]

    def unpads(self) -> bool:
        """Return whether it trains a model that `can_unpad`, and what follows takes all tokens."""
        first = self.model[0]
        states = getattr(first, "module_output_name", "") == "token_embeddings"
        return self.training and states and can_unpad(getattr(first, "model", None))

    def settings(self) -> list[Any] | None:
        """Return the settings of each of its modules."""
        modules = [[type(m).__name__, repr(m.get_config_dict())] for m in self.model]
        return [super().settings(), modules]

    def save(self, folder: Path) -> None:
        """Write the sentence-transformers folder."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    @classmethod
    def load(
        cls, source: str | Path, *, max_tokens: int | None = None, revision: str | None = None
    ) -> SentenceTransformersTower:
        """Load from a hub id or a folder.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            ModelError: it cannot be loaded.
        """
        require_sentence_transformers()
        where = f"text model {source}"
        folder = model_folder(source, where=where, revision=revision)
        require_plain_files(folder)
        with loading(where):
            require_modest(folder)
            model = open_sentence_transformer(folder)
        if type(model[0]).__name__ == "StaticEmbedding":
            raise ModelError(
                "is a table of word vectors (StaticEmbedding), which is not supported",
                where=where,
                remedy="Take a transformer, or keep your trainer with the losses of"
                " rankfield.integrations.sentence_transformers.",
            )
        if max_tokens:
            model.max_seq_length = max_tokens
        tower = cls(model)
        tower.pretrained = True
        return tower
