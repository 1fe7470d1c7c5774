"""The vision tower that a composed encoder is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.encoders.pretrained import load_model
from rankfield.encoders.source import model_folder
from rankfield.encoders.tower_settings import tower_settings
from rankfield.errors import ModelError

__all__ = ["VisionTower"]


class VisionTower(nn.Module):
    """Any vision model of `transformers` with a pooled output.

    `pretrained` tells a loaded tower from one of random weights.
    """

    kind = "transformers"
    pretrained: bool = False

    def __init__(self, model: Any, transform: ImageTransform | PatchTransform) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.transform = transform
        self.frozen = False
        # Convolutional models name the width of each stage, transformers one for all.
        sizes = getattr(model.config, "hidden_sizes", None)
        self.width = int(sizes[-1] if sizes else model.config.hidden_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return N × width pooled vectors from uint8 pixels as the transform gives them."""
        inputs = self.transform.inputs(pixels)
        if inputs["pixel_values"].ndim == 4:
            values = inputs["pixel_values"].contiguous(memory_format=torch.channels_last)
            inputs["pixel_values"] = values
        pooled: Tensor = self.model(**inputs).pooler_output
        return pooled.flatten(1)

    def freeze(self) -> None:
        """Keep the weights and the running statistics as they are."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> VisionTower:
        """Set training mode, which a frozen tower does not enter."""
        super().train(mode and not self.frozen)
        return self

    def settings(self) -> list[Any] | None:
        """Return what beside weights and pixels its output depends on; None: it is not known."""
        return tower_settings(self, self.width)

    def save(self, folder: Path) -> None:
        """Write the model and the image transform."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.transform.save(folder)

    @classmethod
    def load(cls, source: str | Path, *, revision: str | None = None) -> VisionTower:
        """Load from a hub id or a folder, with the image transform that belongs to it.

        Raises:
            ModelError: it cannot be loaded.
        """
        where = f"vision model {source}"
        folder = model_folder(source, where=where, revision=revision)
        loaded = load_model(folder, where)
        # Of a dual encoder, such as CLIP, the vision half.
        model = getattr(loaded, "vision_model", loaded)
        if model.main_input_name != "pixel_values":
            raise ModelError(f"is a {type(model).__name__}, not a vision model", where=where)
        patches = "siglip2" in model.config.model_type
        tower = cls(model, (PatchTransform if patches else ImageTransform).from_pretrained(folder))
        tower.pretrained = True
        return tower
