"""Micro-batches in a training: found by themselves, and the cache changes no bit of the result."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rankfield.encoders import RankingModel, small_encoder
from rankfield.encoders.micro_batches import MicroBatches
from rankfield.errors import RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import build_model, train
from rankfield.training import micro_batching as module
from rankfield.training.batches import PairBatches
from rankfield.training.gradient_checkpointing import checkpoint_layers
from rankfield.training.micro_batching import activation_bytes, micro_batches
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def weights(clip: Path, shop: RankingDataset, out: Path, **batch: Any) -> dict[str, Tensor]:
    """The last weights of a training with adapters, augmentation and lost fields."""
    recipe = recipe_of(
        clip,
        batch={"size": 16} | batch,
        data={"augment": True, "field_dropout": 0.2},
        lora={"rank": 2, "dropout": 0.3},
        loss={"per_field": 0.5, "matryoshka": [8, 16]},
        optimizer={"steps": 3, "learning_rate": 3e-3},
        dev={"every": "off"},
    )
    return dict(train(recipe, shop, out).state_dict())


def test_the_cache_changes_no_bit_of_a_training(
    clip: Path, shop: RankingDataset, tmp_path: Path
) -> None:
    sizes = {"micro_tokens": 40, "micro_images": 5}
    kept = weights(clip, shop, tmp_path / "kept", gradient_cache="off", **sizes)
    cached = weights(clip, shop, tmp_path / "cached", gradient_cache="on", **sizes)
    assert all(torch.equal(kept[name], cached[name]) for name in kept)
    other = weights(clip, shop, tmp_path / "other", micro_tokens=12)
    assert any(not torch.equal(kept[name], other[name]) for name in kept)  # of dropout


def test_gradient_checkpointing_changes_no_bit_of_a_training(
    clip: Path, shop: RankingDataset, tmp_path: Path
) -> None:
    kept = weights(clip, shop, tmp_path / "kept", gradient_cache="off")
    for name, more in (("layers", {}), ("both", {"gradient_cache": "on", "micro_images": 5})):
        again = {"gradient_checkpointing": True, "gradient_cache": "off"} | more
        found = weights(clip, shop, tmp_path / name, **again)
        plain = kept if not more else weights(clip, shop, tmp_path / "plain", **more)
        assert all(torch.equal(plain[one], found[one]) for one in plain)


def saved_bytes(model: RankingModel, inputs: Any) -> int:
    """How much autograd keeps of a batch's encoding, weights included."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        held.append(tensor)
        return tensor

    held: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(inputs["query"], inputs["document"])
    return sum(kept.values())


def test_gradient_checkpointing_keeps_less(clip: Path, shop: RankingDataset) -> None:
    model, inputs = first_batch(clip, shop)
    before = saved_bytes(model, inputs)
    checkpoint_layers(model.encoder)
    assert saved_bytes(model, inputs) < before / 2


def test_gradient_checkpointing_needs_layers_of_its_kind() -> None:
    encoder = small_encoder(["red ball"], ["text"], dimension=8, width=32)
    with pytest.raises(RecipeError, match="gradient_checkpointing: no tower has layers"):
        checkpoint_layers(encoder)


def first_batch(clip: Path, shop: RankingDataset) -> tuple[RankingModel, Any]:
    recipe = recipe_of(clip)
    model = build_model(recipe, shop).train()
    return model, PairBatches(recipe, shop, model)[0].inputs


def test_nothing_that_was_measured_stays_in_memory(clip: Path, shop: RankingDataset) -> None:
    model = build_model(recipe_of(clip, batch={"size": 16}), shop)
    batches = PairBatches(recipe_of(clip, batch={"size": 16}), shop, model)
    for inputs in batches[0].inputs.values():
        activation_bytes(model, inputs, model.micro_batches)
    weights = [weakref.ref(parameter) for parameter in model.parameters()]
    del model, batches, inputs
    gc.collect()
    assert weights
    assert not [weight for weight in weights if weight() is not None]


def test_what_a_batch_keeps_is_estimated(clip: Path, shop: RankingDataset) -> None:
    model, inputs = first_batch(clip, shop)
    model.micro_batches = MicroBatches(tokens=40, images=5)
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    estimated = sum(activation_bytes(model, b, model.micro_batches) for b in inputs.values())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = model(inputs["query"], inputs["document"])
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    exact = sum(t.untyped_storage().nbytes() for p, t in kept.items() if p not in weights)
    assert len(held) == 5
    assert exact / 1.3 < estimated < exact * 1.3


@pytest.mark.parametrize(("cache", "free"), [("auto", 1e3), ("auto", 1e12), ("on", 1e12)])
def test_activations_are_computed_again_where_memory_is_short(
    clip: Path,
    shop: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    cache: str,
    free: float,
) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda device: free)
    model, inputs = first_batch(clip, shop)
    section = recipe_of(clip, batch={"gradient_cache": cache, "micro_images": 7}).batch
    found = micro_batches(section, model, inputs.values())
    assert found == MicroBatches(1024, 7, cached=cache == "on" or free < 1e6)
