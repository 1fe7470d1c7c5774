"""Layers whose activations are computed again when gradients are, in place of being kept."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from torch import nn

from rankfield.encoders import Encoder
from rankfield.encoders.open_clip import OpenClipEncoder
from rankfield.encoders.unpadded import can_unpad, unpadded_attention
from rankfield.errors import RecipeError

__all__ = ["checkpoint_layers"]


def checkpoint_layers(encoder: Encoder) -> None:
    """Let an encoder keep what goes into its layers, and compute the rest of them again.

    The random numbers of dropout are those of the first time: gradients are equal to the bit. It
    is the mechanism of transformers and of open_clip (Chen et al., "Training Deep Nets with
    Sublinear Memory Cost", arXiv 1604.06174); towers without one stay as they are.

    Raises:
        RecipeError: no tower has such layers.
    """
    found = _checkpointed(encoder)
    if isinstance(encoder, OpenClipEncoder):
        encoder.model.set_grad_checkpointing(True)
        found = True
    if not found:
        raise RecipeError(
            "no tower has layers that can be computed again",
            where="recipe, batch.gradient_checkpointing",
            remedy="Leave it out; batch.gradient_cache = 'on' does the same for every encoder.",
        )


def _checkpointed(module: nn.Module) -> bool:
    """Turn it on in the outermost models of transformers that can; return whether there are any."""
    from transformers import PreTrainedModel
    from transformers.modeling_layers import GradientCheckpointingLayer

    model: Any = module
    layers = any(isinstance(one, GradientCheckpointingLayer) for one in module.modules())
    if layers and isinstance(module, PreTrainedModel) and model.supports_gradient_checkpointing:
        # Releases before 5.23 know the former name alone, which warns in later ones.
        former = "gradient_checkpointing_enable"
        enable = getattr(model, "activation_checkpointing_enable", None) or getattr(model, former)
        settings: dict[str, Any] = {"use_reentrant": False}
        if can_unpad(model):
            settings["context_fn"] = partial(_contexts, model)
        enable(settings)
        return True
    found = [_checkpointed(child) for child in module.children()]  # every one of them
    return any(found)


def _contexts(model: Any) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return what the layers are computed in the first time, and again."""
    return nullcontext(), unpadded_attention(model)
