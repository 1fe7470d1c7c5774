"""Copies to a GPU go through pinned memory and are not waited for; a CPU's stay as they were.

No GPU is needed: `Tensor.pin_memory` and `Tensor.to` are replaced by what only says what was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rankfield.encoders import RankingModel, small_encoder
from rankfield.on_device import on_device
from rankfield.schema import Field
from rankfield.training import build_model, parse_recipe
from rankfield.training import read_ahead as read_ahead_module
from rankfield.training.batches import PairBatches
from rankfield.training.packed import pack, tensors, unpack
from rankfield.training.read_ahead import batches_ahead
from training_data import tiny_shop

CUDA = torch.device("cuda")


class Copies:
    """The copies to CUDA: how many were made, and how many of them were waited for."""

    def __init__(self) -> None:
        self.pinned: set[int] = set()
        self.made = self.waited = 0


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    found = Copies()
    to: Any = Tensor.to

    def pin(self: Tensor, *_: Any) -> Tensor:
        copy = self.clone()
        found.pinned.add(copy.data_ptr())
        return copy

    def recorded(self: Tensor, *words: Any, **options: Any) -> Tensor:
        if not words or words[0] != CUDA:
            moved: Tensor = to(self, *words, **options)
            return moved
        found.made += 1
        pinned = not self.numel() or self.data_ptr() in found.pinned
        found.waited += not (pinned and options.get("non_blocking"))
        return self

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", recorded)
    return found


def test_only_a_copy_to_a_gpu_is_pinned(copies: Copies) -> None:
    tensor = torch.arange(3)
    assert on_device(tensor, torch.device("cpu")) is tensor
    assert not copies.pinned
    assert torch.equal(on_device(tensor, CUDA), tensor)
    assert (copies.made, copies.waited) == (1, 0)


def test_nothing_of_a_training_batch_is_waited_for(copies: Copies, tmp_path: Path) -> None:
    recipe = parse_recipe({"encoder": {"image_size": 24}, "batch": {"size": 8}})
    shop = tiny_shop(tmp_path / "tiny")
    batch = PairBatches(recipe, shop, build_model(recipe, shop))[0]
    moved = [*(inputs.to(CUDA) for inputs in batch.inputs.values()), batch.pairs.to(CUDA)]
    assert copies.made == len(tensors(moved[0])) + len(tensors(moved[1])) + len(tensors(moved[2]))
    assert copies.waited == 0


def test_nothing_that_is_embedded_is_waited_for(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [Field("title", "text")]
    model = RankingModel(small_encoder(["red", "blue"], ["text"], dimension=8), fields, fields)
    expected = model.encode_documents(["red", "blue ball", "red"])
    monkeypatch.setattr(RankingModel, "device", CUDA)
    np.testing.assert_allclose(model.encode_documents(["red", "blue ball", "red"]), expected)
    assert copies.made >= 2
    assert copies.waited == 0


def test_what_is_read_ahead_is_pinned_in_one_block(copies: Copies) -> None:
    value = {"ids": torch.arange(6).reshape(2, 3), "pixels": torch.ones(2, 4, dtype=torch.uint8)}
    packed = pack(value).pin_memory()
    assert packed.block.data_ptr() in copies.pinned
    for name, tensor in unpack(packed).items():
        assert torch.equal(tensor, value[name])


@pytest.mark.parametrize(("workers", "pinned"), [(1, True), (1, False), (0, True)])
def test_readers_have_their_batches_pinned_for_a_gpu(
    workers: int, pinned: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []

    def loader(*_: Any, pin_memory: bool, **__: Any) -> list[Any]:
        asked.append(pin_memory)
        return []

    monkeypatch.setattr(read_ahead_module, "DataLoader", loader)
    recipe = parse_recipe({"encoder": {"image_size": 24}, "batch": {"size": 8}})
    shop = tiny_shop(tmp_path / "tiny")
    batches = PairBatches(recipe, shop, build_model(recipe, shop))
    assert not list(batches_ahead(batches, range(2), workers=workers, pinned=pinned))
    assert asked == [pinned and workers > 0]
