"""A small model of sentence-transformers, made from a config, with a tokenizer of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer

__all__ = ["WORDS", "tiny_sentence_transformer"]

WORDS = "red green blue grey ball box mug lamp nice large small number gift cheap"


def tiny_sentence_transformer(folder: Path, *, dropout: float = 0.0, width: int = 16) -> Any:
    """Return a `SentenceTransformer` of one BERT layer with random weights of a fixed seed."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = train_tokenizer([WORDS])
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    torch.manual_seed(0)
    with quiet_transformers():
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer.model_max_length = 16
        tokenizer.save_pretrained(folder)
        transformer = Transformer(str(folder))
    transformer.auto_model.pooler = None  # its weights would never learn
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[transformer, pooling], device="cpu")
