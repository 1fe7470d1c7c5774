"""A tiny model of each architecture, made from a config, as its own library saves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from foreign_models import TEXTS, dual_folder
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer

__all__ = ["ENCODERS", "bert_folder", "decoder_folder", "dense_folder", "encoder_section"]

_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
}


def _save(model: Any, tokenizer: Any, folder: Path) -> Path:
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.model_max_length = 16
        tokenizer.save_pretrained(folder)
    return folder


def bert_folder(folder: Path) -> Path:
    """A BERT of two layers."""
    from transformers import BertConfig, BertModel

    tokenizer = train_tokenizer(TEXTS)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **_SIZES)
    return _save(BertModel(config), tokenizer, folder)


def decoder_folder(folder: Path, *, padding_side: str = "left") -> Path:
    """A causal Qwen3 of two layers, whose tokenizer has no padding token."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = train_tokenizer(TEXTS)
    tokenizer.padding_side = padding_side
    tokenizer.pad_token, tokenizer.eos_token = None, "[SEP]"
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=16, pad_token_id=None, **_SIZES
    )
    return _save(Qwen3ForCausalLM(config), tokenizer, folder)


def dense_folder(folder: Path, **settings: Any) -> Path:
    """A model of sentence-transformers: BERT, mean, a Dense layer to 8 dimensions, normalised."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(bert_folder(folder.parent / f"{folder.name}-bert")))
    transformer.auto_model.pooler = None
    modules = [transformer, Pooling(32, pooling_mode="mean"), Dense(32, 8), Normalize()]
    with quiet_transformers():
        model = SentenceTransformer(modules=modules, device="cpu", **settings)
        model.save_pretrained(str(folder), create_model_card=False)
    return folder


ENCODERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "CLIP": lambda at: _whole(dual_folder(at / "clip", "CLIP", layers=2)),
    "SigLIP": lambda at: _whole(dual_folder(at / "siglip", "SigLIP", layers=2)),
    "BERT": lambda at: _whole(bert_folder(at / "bert")),
    "decoder": lambda at: _whole(decoder_folder(at / "decoder")),
    "sentence-transformers": lambda at: {
        "kind": "sentence-transformers",
        "model": str(dense_folder(at / "dense")),
    },
    "decoder and half of a CLIP": lambda at: _composed(
        decoder_folder(at / "decoder"), dual_folder(at / "clip", "CLIP", layers=2)
    ),
    "two halves": lambda at: _composed(
        dual_folder(at / "siglip", "SigLIP", layers=2), dual_folder(at / "clip", "CLIP", layers=2)
    ),
}
"""Name → writes the models into a folder and returns the recipe's section of the encoder."""


def encoder_section(name: str, folder: Path) -> dict[str, Any]:
    """Write the models of an encoder of this name and return the recipe's section for it."""
    with quiet_transformers():
        return ENCODERS[name](folder)


def _whole(folder: Path) -> dict[str, Any]:
    return {"kind": "transformers", "model": str(folder)}


def _composed(text: Path, vision: Path) -> dict[str, Any]:
    models = {"text_model": str(text), "vision_model": str(vision)}
    return {"kind": "composed", "dimension": 16, "max_tokens": 12, **models}
