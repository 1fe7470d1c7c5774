"""Gradient checkpointing in models of open_clip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rankfield.encoders import OpenClipEncoder
from rankfield.training.gradient_checkpointing import checkpoint_layers
from tiny_open_clip import TEXTS, open_clip_folder

pytest.importorskip("open_clip")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_gradient_checkpointing_of_open_clip_gives_equal_gradients(
    kind: str, tmp_path: Path
) -> None:
    encoder = OpenClipEncoder.from_pretrained(open_clip_folder(tmp_path / "model", kind)).train()
    found = []
    for _ in range(2):
        encoder.zero_grad()
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (3, 32, 32, 3), dtype=torch.uint8, generator=generator)
        texts = encoder.encode_text(encoder.tokenize(TEXTS, "query"))
        (texts.sum() + (encoder.encode_image(pixels) ** 2).sum()).backward()  # type: ignore[no-untyped-call]
        found.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
        checkpoint_layers(encoder)
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
