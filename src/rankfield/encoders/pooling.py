"""From the states of a text's tokens to one vector."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["Pooling", "pooled", "usual_pooling"]

Pooling = Literal["mean", "cls", "last_token", "pooler"]


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return N × width vectors of N × L × width states of tokens, padded on either side.

    Args:
        states: of the tokens.
        mask: N × L, 1 for tokens and 0 for padding.
        pooling: `mean`, `cls` (the first token) or `last_token`.
    """
    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1.0)
    places = mask.argmax(1) if pooling == "cls" else mask.shape[1] - 1 - mask.flip(1).argmax(1)
    return states[torch.arange(len(states), device=states.device), places]


def usual_pooling(config: Any) -> Pooling:
    """Return the last token for a decoder, in which only that has seen the whole text."""
    from transformers.models.auto import modeling_auto

    kind = config.model_type
    decoder = (
        kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    return "last_token" if decoder else "mean"
