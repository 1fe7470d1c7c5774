"""A tiny CLIP as transformers would write it, and recipes that train it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer
from rankfield.training import Recipe, parse_recipe

__all__ = ["recipe_of", "tiny_clip"]

LAYERS = 2


def tiny_clip(folder: Path, *, layers: int = LAYERS, width: int = 32) -> Path:
    """Write a CLIP of so many layers a tower, 16 dimensions, random weights of a fixed seed."""
    import transformers

    tokenizer = train_tokenizer(["red green blue grey ball box nice number please gift cheap"])
    tower = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    text = tower | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": 12}
    vision = tower | {"image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    with quiet_transformers():
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        transformers.CLIPModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        size = {"size": {"shortest_edge": 16}, "crop_size": 16}
        transformers.CLIPImageProcessorPil(**size).save_pretrained(folder)
    return folder


def recipe_of(folder: Path, **sections: dict[str, Any]) -> Recipe:
    """Return a short recipe that trains the model in `folder`, with these values in it."""
    values: dict[str, Any] = {
        "log_every": 5,
        "trackers": [],
        "encoder": {"kind": "transformers", "model": str(folder)},
        "batch": {"size": 16},
        "optimizer": {"steps": 12, "learning_rate": 3e-3},
        "dev": {"every": 6},
    }
    values = copy.deepcopy(values)
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return parse_recipe(values)
