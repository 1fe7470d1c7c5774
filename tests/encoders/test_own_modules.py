"""Towers that code of the user's own makes: used, saved, and refused without being allowed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rankfield.encoders import ComposedEncoder, RankingModel
from rankfield.encoders.own_modules import OwnTextTower, OwnVisionTower, is_factory
from rankfield.encoders.pretrained import allowed_code, no_pickles
from rankfield.errors import ModelError, RecipeError
from rankfield.schema import Field
from rankfield.training import parse_recipe
from rankfield.training.encoder import build_encoder
from ranking_shop import ranking_shop

CODE = """
import torch
from torch import nn
from rankfield.encoders import ImageTransform

class Bytes(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(256, 6)

    def forward(self, inputs):
        return self.table(inputs["bytes"]).mean(1)

def tokenize(texts):
    return {"bytes": torch.tensor([list(text.encode()[:4].ljust(4)) for text in texts])}

def text():
    return Bytes(), 6, tokenize

def vision():
    module = nn.Sequential(nn.Conv2d(3, 5, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return module, 5, ImageTransform(8, 8, "stretch")

def wrong_width():
    return nn.Flatten(), 7, ImageTransform(8, 8, "stretch")

def nothing():
    return None
"""
SECTION = {"kind": "composed", "dimension": 4, "text_model": "own_towers:text"}
SECTION |= {"vision_model": "own_towers:vision"}


@pytest.fixture(autouse=True)
def _code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_towers.py").write_text(CODE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_towers_of_a_factory_are_used_and_saved(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"vision_model = 'own_towers:vision'.*--allow-code"):
        parse_recipe({"encoder": SECTION})
    recipe = parse_recipe({"encoder": SECTION}, allow_code=True)
    fields = [Field("photo", "image"), Field("title", "text")]
    torch.manual_seed(0)
    encoder = build_encoder(recipe.encoder, ranking_shop(), [Field("text", "text")], fields)
    assert set(encoder.pretrained_towers()) == {"text", "vision"}
    model = RankingModel(encoder, [Field("text", "text")], fields).eval()
    image = Image.effect_noise((20, 30), 60).convert("RGB")
    records = [{"title": "mug", "photo": image}, {"title": "lamp"}]
    before = model.encode_documents(records)
    assert before.shape == (2, 4)
    model.save(tmp_path / "saved")
    with pytest.raises(RecipeError, match=r"own_towers:\w+.*--allow-code"):
        RankingModel.load(tmp_path / "saved")
    again = RankingModel.load(tmp_path / "saved", allow_code=True)
    np.testing.assert_array_equal(again.encode_documents(records), before)
    encoder.freeze("vision")
    assert not any(p.requires_grad for p in encoder.towers()["vision"].parameters())


def test_a_tower_that_says_what_its_outputs_depend_on() -> None:
    for tower in (OwnVisionTower("own_towers:vision"), OwnTextTower("own_towers:text")):
        assert tower.settings() is None
        tower.model.outputs_version = "1"
        first = tower.settings()
        assert first is not None
        assert json.loads(json.dumps(first)) == first
        tower.model.outputs_version = "2"
        assert tower.settings() != first
        tower.model.outputs_version = 3
        with pytest.raises(
            ModelError, match=r"own_towers:\w+.*a string as outputs_version, found 3"
        ):
            tower.settings()


def test_a_factory_that_reads_its_own_weights(tmp_path: Path) -> None:
    """What it reads them with is up to it, while rankfield's own libraries read no pickle."""
    state = nn.Sequential(nn.Conv2d(3, 5, 4)).state_dict()
    torch.save(state, tmp_path / "own.pth")
    code = f"""
def loaded():
    module, width, transform = vision()
    module.load_state_dict(torch.load({str(tmp_path / "own.pth")!r}, weights_only=True))
    return module, width, transform
"""
    (tmp_path / "own_loaded.py").write_text(CODE + code, "utf-8")
    encoder = ComposedEncoder(None, OwnVisionTower("own_loaded:loaded"), dimension=4)
    RankingModel(encoder, [Field("photo", "image")], [Field("photo", "image")]).save(tmp_path / "m")
    again = RankingModel.load(tmp_path / "m", allow_code=True).encoder.towers()["vision"]
    assert torch.equal(again.state_dict()["model.0.weight"], state["0.weight"])
    with no_pickles(), no_pickles():
        with allowed_code():
            assert torch.load(tmp_path / "own.pth", weights_only=True).keys() == state.keys()
        with pytest.raises(ValueError, match="is a pickle"):
            torch.load(tmp_path / "own.pth", weights_only=True)


def test_a_factory_that_makes_something_else() -> None:
    for name in ("own_towers:nothing", "own_towers:text"):
        with pytest.raises(RecipeError, match="expected a torch module, its width and an Image"):
            OwnVisionTower(name)
    with pytest.raises(RecipeError, match="its width and a tokenizer"):
        OwnTextTower("own_towers:nothing")
    for name in ("own_towers:missing", "no_such_module:text"):
        with pytest.raises(RecipeError, match="cannot be imported"):
            OwnTextTower(name)
    with pytest.raises(ModelError, match=r"expected N × 7 vectors of the module, found \(1, 192\)"):
        OwnVisionTower("own_towers:wrong_width")(torch.zeros(1, 8, 8, 3, dtype=torch.uint8))


def test_names_of_factories() -> None:
    assert is_factory("towers:vision")
    assert is_factory("my.towers:vision")
    others = ("package:minilm", "facebook/dinov2-small", "hf-hub:org/name", "C:\\models\\clip", "")
    assert not any(is_factory(name) for name in others)
