"""Random changes to photos that leave what they show as it is."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["flip_and_shift"]


def flip_and_shift(pixels: Tensor, *, share: float = 1 / 16) -> Tensor:
    """Mirror half of the pictures and shift each by up to `share` of its size, edges repeated.

    Args:
        pixels: N × H × W × 3; the result has the same shape, dtype and device.
        share: largest shift, as a share of height and width.

    Draws from torch's global random state on the CPU, so the same seed gives the same pictures.
    """
    n, height, width, _ = pixels.shape
    device = pixels.device
    dy = torch.randint(-int(height * share), int(height * share) + 1, (n, 1))
    dx = torch.randint(-int(width * share), int(width * share) + 1, (n, 1))
    flip = torch.rand(n, 1) < 0.5
    y = (torch.arange(height) + dy).clamp(0, height - 1)
    x = (torch.arange(width) + dx).clamp(0, width - 1)
    x = torch.where(flip, width - 1 - x, x)
    rows = torch.arange(n).view(n, 1, 1)
    return pixels[rows.to(device), y.unsqueeze(2).to(device), x.unsqueeze(1).to(device)]
