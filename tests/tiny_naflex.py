"""A tiny SigLIP 2 of any image shape (NaFlex), as transformers saves it."""

from __future__ import annotations

from pathlib import Path

import torch

from foreign_models import TEXTS
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer

__all__ = ["PATCH", "PATCHES", "naflex_folder"]

PATCH, PATCHES = 4, 20


def naflex_folder(folder: Path) -> Path:
    """Write two towers of two layers, 32 dimensions, random weights of a fixed seed."""
    import transformers

    tokenizer = train_tokenizer([*TEXTS, "red green blue grey ball box nice number please gift"])
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = tower | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 12,
        "projection_size": 32,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    vision = tower | {"patch_size": PATCH, "num_patches": 16}
    torch.manual_seed(0)
    with quiet_transformers():
        config = transformers.Siglip2Config(text_config=text, vision_config=vision)
        transformers.Siglip2Model(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        processor = transformers.Siglip2ImageProcessorPil(patch_size=PATCH, max_num_patches=PATCHES)
        processor.save_pretrained(folder)
    return folder
