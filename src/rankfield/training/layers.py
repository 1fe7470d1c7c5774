"""How deep in its tower a parameter lies, read from its name."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["layer_depths"]

# A stage holds numbered blocks of its own (ResNet, ConvNeXt; Swin calls its stages layers); a
# transformer's layer is one block, whatever numbers follow in the name.
_STAGE = re.compile(r"(?:^|\.)stages?\.(\d+)(?:\.(?:layers?|blocks?)\.(\d+))?(?=\.)")
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|resblocks|h)\.(\d+)(?:\.blocks\.(\d+))?(?=\.)")
# A torchvision or CLIP ResNet, whose stages are named layer1 to layer4.
_RESNET = re.compile(r"(?:^|\.)layer(\d+)\.(\d+)(?=\.)")
# Matrices of open_clip's towers, registered before the layers that feed them.
_OUTPUT = re.compile(r"(?:^|\.)(?:text_projection|proj)$")
# Registered after the layers that they feed.
_INPUT = re.compile(r"embed|relative_attention_bias")

_Place = tuple[int, int | None]


def layer_depths(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Return name → depth d for the parameters of one tower, and its number of layers L.

    0 ≤ d ≤ L. Layer i (from 1) has depth i; what is registered before the first layer (embeddings,
    patch projection) has 0; what comes after the last one (final norm, pooler, head) has L, as the
    last layer itself. A stage of a convolutional or Swin tower counts as many layers as it has
    blocks; what joins two stages goes with the block before it, or the first block where there is
    none. A tower without numbered layers has L = 0.

    Args:
        names: parameter names in the order of `named_parameters`, such as
            "model.encoder.layer.3.output.dense.weight", "layers.3.mlp.Wi.weight" or
            "encoder.stages.1.layers.0.layer.1.convolution.weight".
    """
    ordered = list(names)
    places = {name: _place(name) for name in ordered}
    found = [place for place in places.values() if place is not None]
    staged = {stage for stage, block in found if block is not None}
    ordinals: dict[_Place, int] = {}
    for stage, block in found:
        if block is not None or stage not in staged:
            ordinals.setdefault((stage, block), len(ordinals) + 1)
    layers = len(ordinals)
    depths: dict[str, int] = {}
    reached = 0
    for name in ordered:
        place = places[name]
        if place is not None:
            # Before the first block of all, a stage's own weights belong to that block.
            reached = ordinals.get(place, max(reached, 1))
            depths[name] = reached
        elif (reached == 0 and not _OUTPUT.search(name)) or _INPUT.search(name):
            depths[name] = 0
        else:
            depths[name] = layers
    return depths, layers


def _place(name: str) -> _Place | None:
    match = _STAGE.search(name) or _RESNET.search(name) or _LAYER.search(name)
    if match is None:
        return None
    stage, block = match.groups()
    return int(stage), None if block is None else int(block)
