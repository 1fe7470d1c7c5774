"""Tiny models of open_clip with random weights, as open_clip saves them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import small_text_tower

__all__ = [
    "ARCHITECTURE",
    "FAMILIES",
    "TEXTS",
    "add_architecture",
    "open_clip_folder",
    "refuse_network",
]

FAMILIES = ("clip", "siglip", "bert")
ARCHITECTURE = "tiny-open-clip"
TEXTS = ["red ball", "a nice GREEN box, please", "", "blue &amp; grey " * 60]
_VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
_TEXT = {"width": 32, "heads": 2, "layers": 2}


def _config(family: str, folder: Path) -> dict[str, Any]:
    """Return the `model_cfg`; its tokenizer and text model are written into `folder`."""
    if family == "clip":
        return {"embed_dim": 16, "vision_cfg": _VISION, "text_cfg": _TEXT, "quick_gelu": True}
    tower = small_text_tower(TEXTS, width=32, layers=1, max_tokens=20)
    tower.tokenizer.save_pretrained(folder)
    text = {"context_length": 20, "hf_tokenizer_name": "nobody/tokenizer"}
    if family == "siglip":
        text |= _TEXT | {
            "vocab_size": len(tower.tokenizer),
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
        }
        vision = {"timm_model_name": "test_vit", "image_size": 160, "timm_proj": "linear"}
        bias = {"init_logit_bias": -10, "custom_text": True}
        return {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, **bias}
    tower.model.config.save_pretrained(folder / "text_config")
    text |= {"hf_model_name": str(folder / "text_config"), "hf_pooler_type": "mean_pooler"}
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
    return {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}


def open_clip_folder(folder: Path, family: str, **preprocess: Any) -> Path:
    """Write a model of 16 dimensions, of the family of CLIP or SigLIP, or with a BERT."""
    open_clip = import_open_clip()
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    with quiet_transformers():
        config = _config(family, folder)
        parts = json.loads(json.dumps(config))
        kind = open_clip.CLIP if family == "clip" else open_clip.CustomTextCLIP
        parts.pop("custom_text", None)
        parts["text_cfg"]["hf_model_pretrained"] = False
        model = kind(**parts)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    (folder / "open_clip_config.json").write_text(text)
    return folder


def add_architecture(folder: Path) -> None:
    """Let open_clip know the CLIP of `open_clip_folder` as an architecture."""
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    path = folder / f"{ARCHITECTURE}.json"
    path.write_text(json.dumps(config))
    import_open_clip().add_model_config(path)


def refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection fail: a model in a folder asks nobody."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
