"""What beside its weights and its input the output of a tower of transformers depends on."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["tower_settings"]


def tower_settings(tower: nn.Module, width: int) -> list[Any]:
    """Return the modules of a tower and the configurations of its models, to be written as JSON."""
    from transformers import PreTrainedConfig

    found = [(name, getattr(module, "config", None)) for name, module in tower.named_modules()]
    configs = [
        [name, one.to_json_string(use_diff=False), str(one._attn_implementation)]
        for name, one in found
        if isinstance(one, PreTrainedConfig)
    ]
    return [type(tower).__name__, width, repr(tower), configs]
