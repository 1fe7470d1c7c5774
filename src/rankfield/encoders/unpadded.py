"""Texts of several lengths without padding: all layers but attention see their tokens alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Packing", "can_unpad", "is_padded_right", "unpadded_attention", "unpadded_states"]

_NAME = "rankfield_unpadded"
_CLASSES = {"BertModel": False, "RobertaModel": True, "XLMRobertaModel": True}
"""Class of transformers → whether positions begin after that of padding."""


@dataclass(frozen=True)
class Packing:
    """Where the T tokens of N texts are, whose mask is N × L.

    real: N × L, whether a place holds a token.
    places: of the T tokens among the N · L places.
    tokens: of each of the N · L places its token; 0 where there is none.
    """

    real: Tensor
    places: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> Packing:
        """Return where the tokens are of which the mask is not 0."""
        real = mask.bool()
        places = real.flatten().nonzero()[:, 0]
        tokens = places.new_zeros(real.numel())
        tokens[places] = torch.arange(len(places), device=mask.device)
        return cls(real, places, tokens)

    def spread(self, values: Tensor) -> Tensor:
        """Return N × L × D of T × D; what stands in the padding is not to be read."""
        return values.index_select(0, self.tokens).view(*self.real.shape, values.shape[1])

    def gathered(self, values: Tensor) -> Tensor:
        """Return T × D of N × L × D."""
        return values.flatten(0, 1).index_select(0, self.places)


def can_unpad(model: Any) -> bool:
    """Return whether a model of transformers gives the same states without padding.

    Those with absolute positions do whose attention can be replaced. Measured on a CPU: on other
    devices texts are padded.
    """
    return (
        type(model).__name__ in _CLASSES
        and model.device.type == "cpu"
        and not model.config.is_decoder
        and model.config._attn_implementation == "sdpa"
    )


def is_padded_right(inputs: Mapping[str, Tensor]) -> bool:
    """Return whether tokens have a mask, all have its shape, and each text begins with a token."""
    mask = inputs.get("attention_mask")
    if mask is None or any(item.shape != mask.shape for item in inputs.values()):
        return False
    return bool(mask[:, 0].all())


def unpadded_states(call: Callable[..., Tensor], model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Return the states N × L × D of a model's tokens, whose linear layers see no padding.

    Attention is that of `scaled_dot_product_attention` of the padded texts. The states are those of
    the padded texts up to rounding; what stands in the padding is undefined.

    Args:
        call: keywords of the model's `forward` → its last states, 1 × T × D.
        model: one that `can_unpad`.
        inputs: N × L `input_ids` and `attention_mask`, padded on the right, and what else of that
            shape the tokenizer gave.
    """
    packing = Packing.of(inputs["attention_mask"])
    length = inputs["attention_mask"].shape[1]
    first = 0
    if _CLASSES[type(model).__name__]:
        first = model.config.pad_token_id + 1
    positions = torch.arange(first, first + length).expand(packing.real.shape)
    packed = {
        name: item.flatten()[packing.places][None]
        for name, item in {**inputs, "position_ids": positions}.items()
        if name != "attention_mask"
    }
    with unpadded_attention(model):
        states = call(**packed, packing=packing)
    return packing.spread(states[0])


@contextmanager
def unpadded_attention(model: Any) -> Iterator[None]:
    """Let a model that `can_unpad` attend to each text of a `Packing`; else as ever.

    Layers whose activations are computed again need it then too.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, lambda *_, **__: None)
    usual = model.config._attn_implementation
    model.config._attn_implementation = _NAME
    try:
        yield
    finally:
        model.config._attn_implementation = usual


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    packing: Packing | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Return the attention of each text to itself, 1 × T × heads × width; all are 1 × heads × T."""
    if packing is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        usual: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, mask, scaling=scaling, dropout=dropout, **options
        )
        return usual
    heads, count, width = query.shape[1:]

    def spread(states: Tensor) -> Tensor:
        flat = states[0].transpose(0, 1).reshape(count, heads * width)
        return packing.spread(flat).view(*packing.real.shape, heads, width).transpose(1, 2)

    found = F.scaled_dot_product_attention(
        spread(query),
        spread(key),
        spread(value),
        attn_mask=packing.real[:, None, None, :],
        dropout_p=dropout,
        scale=scaling,
    )
    flat = packing.gathered(found.transpose(1, 2).flatten(2))
    return flat.view(1, count, heads, width), None
