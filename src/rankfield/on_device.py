"""Tensors on the device of a model."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["on_device"]


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on another device.

    To CUDA it goes through pinned memory, and nobody waits for it: the host makes the next batch
    beside the GPU's work. A copy from other memory would wait for all work that was begun before.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
