"""A CLIP of transformers as a CLIP of open_clip: configuration and weights.

The same network under other names; queries, keys and values of an attention are one matrix there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["open_clip_config", "open_clip_weights"]

_EPSILON = 1e-5
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_QKV = ("q_proj", "k_proj", "v_proj")
_AS_THEY_ARE = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
"""Name in open_clip → name in transformers."""
_TRANSPOSED = {
    "visual.proj": "visual_projection.weight",
    "text_projection": "text_projection.weight",
}


def open_clip_config(config: Any) -> dict[str, Any]:
    """Return the `model_cfg` of a `CLIPConfig`.

    Raises:
        ValueError: open_clip has no such CLIP; says why.
    """
    text, vision = config.text_config, config.vision_config
    activations = {text.hidden_act, vision.hidden_act}
    if activations not in ({"quick_gelu"}, {"gelu"}):
        raise ValueError(f"open_clip has no CLIP with the activations {sorted(activations)}")
    text_cfg: dict[str, Any] = {
        "context_length": text.max_position_embeddings,
        "vocab_size": text.vocab_size,
        "width": text.hidden_size,
        "heads": text.num_attention_heads,
        "layers": text.num_hidden_layers,
        **_ratio_and_norm(text),
    }
    if text.eos_token_id != 2:  # with 2 transformers pools at the largest id, as CLIP always did
        text_cfg |= {"pool_type": "eos", "eos_id": text.eos_token_id}
    return {
        "embed_dim": config.projection_dim,
        "quick_gelu": activations == {"quick_gelu"},
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "patch_size": vision.patch_size,
            **_ratio_and_norm(vision),
        },
        "text_cfg": text_cfg,
    }


def _ratio_and_norm(tower: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"mlp_ratio": tower.intermediate_size / tower.hidden_size}
    if tower.layer_norm_eps != _EPSILON:
        found["norm_kwargs"] = {"eps": tower.layer_norm_eps}
    return found


def open_clip_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of open_clip's `CLIP` from that of a `CLIPModel`.

    Tensors are shared with `weights` but for those of the attentions and the two projections.
    """
    found = {new: weights[old] for new, old in _AS_THEY_ARE.items()}
    found |= {new: weights[old].t().contiguous() for new, old in _TRANSPOSED.items()}
    for new_tower, old_tower in (("visual.", "vision_model."), ("", "text_model.")):
        layers = {
            int(name.removeprefix(f"{old_tower}encoder.layers.").split(".")[0])
            for name in weights
            if name.startswith(f"{old_tower}encoder.layers.")
        }
        for layer in layers:
            new = f"{new_tower}transformer.resblocks.{layer}."
            old = f"{old_tower}encoder.layers.{layer}."
            for kind in ("weight", "bias"):
                parts = [weights[f"{old}self_attn.{part}.{kind}"] for part in _QKV]
                found[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
                for there, here in _BLOCK.items():
                    found[f"{new}{there}.{kind}"] = weights[f"{old}{here}.{kind}"]
    return {name: value.detach() for name, value in found.items()}
