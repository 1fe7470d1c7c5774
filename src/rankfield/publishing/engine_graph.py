"""A text tower as search engines run it: one ONNX graph, one tokenizer, pooling by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    Encoder,
    RankingModel,
    SentenceTransformersTower,
    TransformersTextTower,
)
from rankfield.errors import ModelError
from rankfield.publishing.fields_file import fuses, modalities
from rankfield.publishing.onnx_export import GraphInput, export_graph, token_inputs
from rankfield.publishing.onnx_graphs import TextGraph
from rankfield.publishing.tower_files import tokenizer_of

__all__ = ["POOLED", "STATES", "EngineGraph", "refuses_engine", "write_engine"]

STATES = "last_hidden_state"
POOLED = "sentence_embedding"
_TYPED = ("bert", "albert")
"""Model types to which engines give a third input, token_type_ids."""
_POOLINGS = ("mean", "cls")


@dataclass(frozen=True)
class EngineGraph:
    """What was written.

    pooling: "mean" or "cls" of the output `STATES`; "none": the output `POOLED` is the vector.
    inputs: names, in order.
    max_tokens: where `tokenizer.json` cuts texts.
    dimension: of the vectors.
    model_type: of the tower, as transformers calls it.
    """

    pooling: str
    inputs: tuple[str, ...]
    max_tokens: int
    dimension: int
    model_type: str


def refuses_engine(model: RankingModel) -> str | None:
    """Return why a search engine cannot embed with a model, and what to do; None if it can."""
    if "image" in modalities(model):
        return "the engine embeds texts alone; choose --as vectors for documents with images"
    encoder = model.encoder
    text = encoder.text if isinstance(encoder, ComposedEncoder) else None
    if text is None and not isinstance(encoder, DualEncoder):
        return "it has no text tower of transformers; choose --as vectors"
    if getattr(text or encoder, "pads_to_full_length", False):
        return "its texts are padded to full length, which engines do not do; choose --as vectors"
    if tokenizer_of(encoder) is None:
        return "its tokenizer has no tokenizer.json; choose --as vectors"
    return None


def write_engine(model: RankingModel, path: Path, tokenizer: Path) -> EngineGraph:
    """Write a model's text tower as an ONNX graph, and its tokenizer.

    Where the vector is the mean of the tokens' states, or the first one, through linear layers,
    the graph gives the states after these layers (they commute with the mean), and the engine
    pools. Else the graph pools itself.

    Args:
        model: one that `refuses_engine` does not refuse.
        path: of the graph.
        tokenizer: of `tokenizer.json`, which cuts texts and does not pad.

    Raises:
        MissingExtraError: onnx is not installed.
        ModelError: the tower has no form in ONNX, or weights above 2 GB.
    """
    encoder = model.encoder
    # what is fused is cut afterwards
    dimension = encoder.dimension if fuses(model) else model.dimension
    inputs, longest = _inputs(encoder)
    names = tuple(one.name for one in inputs)
    pooling = _pooling(encoder)
    graph = _StatesGraph if pooling in _POOLINGS else _PooledGraph
    outputs = [STATES] if pooling in _POOLINGS else [STATES, POOLED]
    export_graph(graph(encoder, names, dimension), inputs, outputs, path)
    if any(one.name.startswith(f"{path.name}.") for one in path.parent.iterdir()):
        raise ModelError(
            "its weights need a second file, which the engine does not read",
            where=model.name,
            remedy="Choose --as vectors, or train a smaller model.",
        )
    written = tokenizer_of(encoder)
    assert written is not None
    copy = Tokenizer.from_str(written.backend_tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(longest)
    copy.save(str(tokenizer))
    return EngineGraph(pooling, names, longest, dimension, _config(encoder).model_type)


class _StatesGraph(TextGraph):
    """Token tensors → N × L × d states, projected."""

    def forward(self, *tokens: Tensor) -> Tensor:
        """Return the states that the engine pools."""
        encoder = self.encoder
        assert isinstance(encoder, ComposedEncoder)
        inputs = dict(zip(self.names, tokens, strict=True))
        tower = encoder.text
        if isinstance(tower, TransformersTextTower):
            states = tower.model(**inputs).last_hidden_state
        else:
            assert isinstance(tower, SentenceTransformersTower)
            modules = list(tower.model.children())
            states = modules[0](inputs)["token_embeddings"]
            for module in modules[2:]:
                states = module.linear(states) if hasattr(module, "linear") else states
        projected: Tensor = encoder.text_projection(states)
        return projected[..., : self.dimension]


class _PooledGraph(TextGraph):
    """Token tensors → the same vectors twice: as N × 1 × d states, and N × d."""

    def forward(self, *tokens: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return both; engines that read no second output by name take it by place."""
        vectors = super().forward(*tokens)
        return vectors.unsqueeze(1), vectors


def _inputs(encoder: Encoder) -> tuple[list[GraphInput], int]:
    """Return input_ids, attention_mask and maybe token_type_ids, in this order; and the length."""
    found = {one.name: one for one in token_inputs(encoder)}
    ids = found["input_ids"]
    if _config(encoder).model_type in _TYPED:
        types = GraphInput("token_type_ids", torch.zeros_like(ids.example), ids.axes, ids.limits)
        found.setdefault("token_type_ids", types)
    else:
        found.pop("token_type_ids", None)
    order = ("input_ids", "attention_mask", "token_type_ids")
    return [found[name] for name in order if name in found], ids.limits["sequence"]


def _pooling(encoder: Encoder) -> str:
    """Return "mean" or "cls" where the vector is that of the states, through linear layers."""
    tower = encoder.text if isinstance(encoder, ComposedEncoder) else None
    found: object = None
    if isinstance(tower, TransformersTextTower):
        found = tower.pooling
    elif isinstance(tower, SentenceTransformersTower):
        modules = list(tower.model.children())
        kinds = [type(module).__name__ for module in modules]
        linear = all(
            isinstance(module.activation_function, nn.Identity)
            for module in modules
            if type(module).__name__ == "Dense"
        )
        known = kinds[:2] == ["Transformer", "Pooling"]
        if known and linear and kinds[2:] == sorted(kinds[2:]):  # Dense…, Normalize…
            rest = set(kinds[2:]) <= {"Dense", "Normalize"}
            found = modules[1].pooling_mode if rest else None
    return found if isinstance(found, str) and found in _POOLINGS else "none"


def _config(encoder: Encoder) -> Any:
    if isinstance(encoder, DualEncoder):
        return encoder.model.config.text_config
    assert isinstance(encoder, ComposedEncoder)
    tower = encoder.text
    if isinstance(tower, SentenceTransformersTower):
        return next(iter(tower.model.children())).auto_model.config
    assert isinstance(tower, TransformersTextTower)
    return tower.model.config
