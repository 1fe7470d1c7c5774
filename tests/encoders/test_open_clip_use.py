"""Models of open_clip in use: told from others, fetched, trained, evaluated."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

if importlib.util.find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed: make open-clip", allow_module_level=True)

from rankfield.cli.main import main
from rankfield.encoders import DualEncoder, OpenClipEncoder, RankingModel
from rankfield.errors import InputError
from rankfield.evaluation import Results, evaluate
from rankfield.schema import Field, RankingDataset
from rankfield.training import build_model, train
from rankfield.training.published_recipe import published_recipe
from rankfield.training.run_inputs import run_inputs
from tiny_models import recipe_of, tiny_clip
from tiny_open_clip import ARCHITECTURE, add_architecture, open_clip_folder, refuse_network
from training_data import tiny_shop


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(tmp_path_factory.mktemp("open-clip") / "clip", "clip")


def test_a_folder_is_told_by_what_reads_it(clip: Path, tmp_path: Path) -> None:
    model = RankingModel.from_pretrained(clip, query_prefix="a ", device="cpu")
    assert isinstance(model.encoder, OpenClipEncoder)
    assert not model.training
    assert model.encoder.prefixes == {"query": "a ", "document": ""}
    assert model.document_fields == (Field("image", "image"), Field("text", "text"))
    both = shutil.copytree(clip, tmp_path / "both")
    for path in tiny_clip(tmp_path / "transformers").iterdir():
        shutil.copy(path, both)
    assert isinstance(RankingModel.from_pretrained(both).encoder, DualEncoder)
    named = RankingModel.from_pretrained(f"local-dir:{both}")
    assert isinstance(named.encoder, OpenClipEncoder)
    assert named.name == "both"
    config = json.loads((both / "config.json").read_text())
    own = {"AutoModel": "marqo_fashionCLIP.MarqoFashionCLIP"}
    (both / "config.json").write_text(json.dumps(config | {"auto_map": own}))
    assert isinstance(RankingModel.from_pretrained(both).encoder, OpenClipEncoder)
    with pytest.raises(InputError, match="pools by itself, found the pooling 'mean'"):
        RankingModel.from_pretrained(clip, pooling="mean")


def test_a_model_of_the_hub(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, tuple[str, ...]]] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str], **_: Any) -> str:
        asked.append((name, revision, tuple(allow_patterns)))
        return str(clip)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    weights = ("open_clip_model.safetensors",)
    for name in ("hf-hub:org/name", "org/name"):
        asked.clear()
        model = RankingModel.from_pretrained(name, revision="v1", device="cpu")
        assert isinstance(model.encoder, OpenClipEncoder)
        assert model.name == "name"
        assert {one[:2] for one in asked} == {("org/name", "v1")}
        assert [one[2] for one in asked[1:]] == [weights]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def test_training_freezes_decays_adapts_and_mixes(
    clip: Path, shop: RankingDataset, tmp_path: Path
) -> None:
    recipe = recipe_of(
        clip,
        encoder={"kind": "open-clip", "freeze": ["vision"], "query_prefix": "a "},
        optimizer={"steps": 4, "layer_decay": 0.5, "unfreeze_over": 0.5},
        average={"wise": [0.5]},
        lora={"rank": 2, "towers": ["text"]},
        dev={"every": 4},
    )
    model = train(recipe, shop, tmp_path / "run")
    assert isinstance(model.encoder, OpenClipEncoder)
    before = OpenClipEncoder.from_pretrained(clip).state_dict()
    after = model.encoder.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("model.text.transformer.resblocks") for name in moved), moved
    again = RankingModel.load(tmp_path / "run" / "model")
    frame = shop.queries.head(3)
    expected = model.eval().embed_queries(shop, frame)
    np.testing.assert_allclose(again.embed_queries(shop, frame), expected, atol=1e-6)


def test_a_recipe_with_a_checkpoint(clip: Path, shop: RankingDataset, tmp_path: Path) -> None:
    add_architecture(clip)
    weights = clip / "open_clip_model.safetensors"
    section = {"kind": "open-clip", "model": ARCHITECTURE, "checkpoint": str(weights)}
    recipe = recipe_of(clip, encoder=section)
    found = build_model(recipe, shop).encoder.state_dict()
    expected = OpenClipEncoder.from_pretrained(clip).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert f"encoder.checkpoint {weights}" in run_inputs(recipe, shop)
    public = published_recipe(recipe.model_dump())
    assert public["encoder"]["checkpoint"] == "./open_clip_model.safetensors"
    public = published_recipe({"encoder": {"model": f"local-dir:{clip}"}})
    assert public["encoder"]["model"] == "./clip"


@pytest.mark.parametrize("checkpoint", [False, True])
def test_it_is_evaluated_without_a_recipe(
    clip: Path,
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: bool,
) -> None:
    add_architecture(clip)
    name, options = f"local-dir:{clip}", ["--out", str(tmp_path / "results.json")]
    if checkpoint:
        name = ARCHITECTURE
        options += ["--checkpoint", str(clip / "open_clip_model.safetensors")]
    words = ["evaluate", name, str(shop.root), "--split", "zero_shot", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["rankfield", *words, *options])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    found = Results.load(tmp_path / "results.json")
    model = RankingModel.from_pretrained(clip, dataset=shop, device="cpu")
    assert found.splits["zero_shot"] == evaluate(model, shop).splits["zero_shot"]
    assert found.metadata["pretrained"] == (ARCHITECTURE if checkpoint else "clip")
    assert str(clip.parent) not in (tmp_path / "results.json").read_text()
