"""The layout open-clip. What needs open_clip runs where it is installed: `make open-clip`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model_miniatures import MULTI, QUERY, MiniatureModels
from rankfield.encoders import RankingModel
from rankfield.errors import MissingExtraError, ModelError
from rankfield.publishing import LAYOUTS, PublishOptions, prove, publish
from rankfield.publishing.open_clip_weights import open_clip_config, open_clip_weights
from rankfield.schema import RankingDataset
from training_data import tiny_shop

HERE = find_spec("open_clip") is not None
needs_open_clip = pytest.mark.skipif(not HERE, reason="open_clip is not installed")
OPTIONS = PublishOptions()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    if HERE:
        from rankfield.encoders.open_clip_import import import_open_clip

        import_open_clip()  # before any library that imports torchvision
    return MiniatureModels(tmp_path_factory.mktemp("models")).clip()


def test_weights_keep_their_values(clip: RankingModel) -> None:
    encoder: Any = clip.encoder
    ours = encoder.model.state_dict()
    found = open_clip_weights(ours)
    buffers = {name for name in ours if name.endswith("position_ids")}
    assert sum(v.numel() for v in found.values()) == sum(
        v.numel() for name, v in ours.items() if name not in buffers
    )
    assert torch.equal(found["visual.proj"], ours["visual_projection.weight"].t())
    block = found["visual.transformer.resblocks.1.attn.in_proj_weight"]
    layer = "vision_model.encoder.layers.1.self_attn."
    for number, part in enumerate(("q_proj", "k_proj", "v_proj")):
        assert torch.equal(block[32 * number : 32 * (number + 1)], ours[f"{layer}{part}.weight"])


def test_configuration(clip: RankingModel) -> None:
    encoder: Any = clip.encoder
    config = open_clip_config(encoder.model.config)
    assert config["quick_gelu"] is True
    assert config["vision_cfg"]["head_width"] == 16
    assert config["text_cfg"]["eos_id"] == encoder.tokenizer.sep_token_id
    encoder.model.config.text_config.layer_norm_eps = 1e-6
    try:
        assert open_clip_config(encoder.model.config)["text_cfg"]["norm_kwargs"] == {"eps": 1e-6}
    finally:
        encoder.model.config.text_config.layer_norm_eps = 1e-5


def test_what_open_clip_cannot_hold_is_refused(
    clip: RankingModel, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = LAYOUTS["open-clip"]
    encoder: Any = clip.encoder
    assert layout.refuses(clip) is None
    models = MiniatureModels(tmp_path_factory.mktemp("others"))
    for other in (models.siglip(), models.bert()):
        assert "choose --as" in str(layout.refuses(other))
    encoder.model.config.vision_config.hidden_act = "relu"
    try:
        assert "activations" in str(layout.refuses(clip))
    finally:
        encoder.model.config.vision_config.hidden_act = "quick_gelu"
    if not HERE:
        with pytest.raises(MissingExtraError, match=r"rankfield\[open-clip\]"):
            publish(clip, tmp_path / "out", "open-clip")


@needs_open_clip
def test_open_clip_ranks_the_same(clip: RankingModel, shop: RankingDataset, tmp_path: Path) -> None:
    proof = publish(clip, tmp_path / "out", "open-clip", shop)["open-clip"]
    assert proof is not None
    assert proof.largest_difference < 2e-6
    assert proof.ndcg10 == proof.client_ndcg10
    assert proof.incomplete > 0
    settings = json.loads((tmp_path / "out" / "marqo.json").read_text())
    assert settings["modelProperties"] == {
        "type": "open_clip",
        "dimensions": 16,
        "name": "hf-hub:USER/NAME",
    }


@needs_open_clip
def test_the_checkpoint_loads_by_its_architecture(clip: RankingModel, tmp_path: Path) -> None:
    import open_clip

    folder = tmp_path / "out"
    publish(clip, folder, "open-clip")
    (folder / "architecture.json").rename(tmp_path / "tiny-rankfield.json")
    open_clip.add_model_config(tmp_path)
    model, _, _ = open_clip.create_model_and_transforms(
        "tiny-rankfield", pretrained=str(folder / "open_clip_model.pt")
    )
    encoder: Any = clip.encoder
    ids = encoder.tokenize(["red ball"], "query")
    padded = torch.nn.functional.pad(ids["input_ids"], (0, 12 - ids["input_ids"].shape[1]))
    with torch.no_grad():
        found = model.eval().encode_text(padded).numpy()
        expected = encoder.encode_text(ids).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@needs_open_clip
def test_marqo_gets_the_name_of_a_known_architecture(clip: RankingModel) -> None:
    import open_clip

    from rankfield.publishing.open_clip import _architecture

    known = open_clip.get_model_config("ViT-B-32-quickgelu")
    written = known | {"text_cfg": known["text_cfg"] | {"hf_tokenizer_name": "any", "mlp_ratio": 4}}
    assert _architecture(written) == "ViT-B-32-quickgelu"
    assert _architecture(written | {"embed_dim": 7}) is None


@needs_open_clip
def test_edited_weights_are_caught(
    clip: RankingModel, shop: RankingDataset, tmp_path: Path
) -> None:
    layout = LAYOUTS["open-clip"]
    assert layout.open is not None
    layout.write(clip, tmp_path, OPTIONS)
    path = tmp_path / "open_clip_model.safetensors"
    weights = load_file(path)
    weights["visual.proj"] = weights["visual.proj"].flip(0).contiguous()
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="does not rank as the model does"):
        prove(clip, layout.open(tmp_path, OPTIONS), shop, OPTIONS, layout=layout)


@needs_open_clip
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_model_of_open_clip_is_written_as_it_is(family: str, tmp_path: Path) -> None:
    from rankfield.encoders import OpenClipEncoder
    from tiny_open_clip import open_clip_folder

    encoder = OpenClipEncoder.from_pretrained(
        open_clip_folder(tmp_path / "source", family), query_prefix="red "
    )
    model = RankingModel(encoder, QUERY, MULTI).eval()
    proof = publish(model, tmp_path / "out", "open-clip")["open-clip"]
    assert proof is not None
    assert proof.largest_difference < 2e-6
    assert proof.incomplete > 0
