"""Random changes to images that leave what they show as it is."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["flip_and_shift"]


def flip_and_shift(pixels: Tensor, *, generator: torch.Generator, share: float = 1 / 16) -> Tensor:
    """Mirror half of the images and shift each by up to `share` of its size, edges repeated.

    Args:
        pixels: N × H × W × 3; the result has the same shape, dtype and device.
        generator: on the CPU; the same state gives the same images.
        share: largest shift, as a share of height and width.
    """
    n, height, width, _ = pixels.shape
    device = pixels.device
    most = int(height * share), int(width * share)
    dy, dx = (torch.randint(-m, m + 1, (n, 1), generator=generator) for m in most)
    flip = torch.rand(n, 1, generator=generator) < 0.5
    y = (torch.arange(height) + dy).clamp(0, height - 1)
    x = (torch.arange(width) + dx).clamp(0, width - 1)
    x = torch.where(flip, width - 1 - x, x)
    rows = torch.arange(n).view(n, 1, 1)
    return pixels[rows.to(device), y.unsqueeze(2).to(device), x.unsqueeze(1).to(device)]
