"""The layouts sentence-transformers and transformers, in the real libraries."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from foreign_models import dual_folder
from model_miniatures import MiniatureModels
from rankfield.encoders import RankingModel, TransformersTextTower, small_encoder
from rankfield.errors import ModelError
from rankfield.publishing import LAYOUTS, PublishOptions, prove, publish
from rankfield.publishing.sentence_transformers import SentenceTransformersClient
from rankfield.schema import Field, RankingDataset
from tiny_architectures import decoder_folder
from training_data import tiny_shop

OPTIONS = PublishOptions()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> MiniatureModels:
    return MiniatureModels(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ("sentence-transformers", "clip"),
        ("sentence-transformers", "siglip"),
        ("sentence-transformers", "naflex"),
        ("sentence-transformers", "bert"),
        ("sentence-transformers", "sentence_transformer"),
        ("sentence-transformers", "composed"),
        ("transformers", "clip"),
        ("transformers", "siglip"),
        ("transformers", "naflex"),
        ("transformers", "bert"),
        ("transformers", "sentence_transformer"),
    ],
)
def test_the_client_ranks_the_same(
    layout: str, kind: str, models: MiniatureModels, shop: RankingDataset, tmp_path: Path
) -> None:
    model: RankingModel = getattr(models, kind)()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    proof = publish(model, tmp_path / "out", layout, shop)[layout]
    assert proof is not None
    assert proof.largest_difference < 2e-6
    assert proof.ndcg10 == proof.client_ndcg10
    assert proof.ndcg10 is not None
    assert proof.incomplete > 0
    assert proof.client.startswith(f"{layout} ")
    assert json.loads((tmp_path / "out" / "proof.json").read_text()) == proof.as_json()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ("sentence-transformers", "clip"),
        ("sentence-transformers", "bert"),
        ("sentence-transformers", "sentence_transformer"),
        ("transformers", "bert"),
    ],
)
def test_cut_embeddings(
    layout: str, kind: str, models: MiniatureModels, shop: RankingDataset, tmp_path: Path
) -> None:
    model = getattr(models, kind)().truncate_to(6)
    proof = publish(model, tmp_path / "out", layout, shop)[layout]
    assert proof is not None
    assert proof.dimension == 6
    if kind != "clip" and layout == "sentence-transformers":
        client = SentenceTransformersClient(tmp_path / "out")
        assert client.encode_texts(["x"], "query").shape == (1, 6)


def test_former_schema(models: MiniatureModels, tmp_path: Path) -> None:
    publish(models.bert(pooling="cls", max_tokens=9), tmp_path / "bert", "sentence-transformers")
    modules = json.loads((tmp_path / "bert" / "modules.json").read_text())
    kinds = [module["type"] for module in modules]
    former = "sentence_transformers.models."
    assert kinds == [former + kind for kind in ("Transformer", "Pooling", "Normalize")]
    pooling = json.loads((tmp_path / "bert" / "1_Pooling" / "config.json").read_text())
    assert pooling.pop("word_embedding_dimension") == 16
    assert {name for name, value in pooling.items() if value} == {
        "pooling_mode_cls_token",
        "include_prompt",
    }
    lengths = json.loads((tmp_path / "bert" / "sentence_bert_config.json").read_text())
    assert lengths == {"max_seq_length": 9, "do_lower_case": False}
    prompts = json.loads((tmp_path / "bert" / "config_sentence_transformers.json").read_text())
    assert prompts["prompts"] == {"query": "red ", "document": "nice "}


def test_new_modules_in_the_former_schema(models: MiniatureModels, tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.modules import Dense

    model = models.sentence_transformer()
    tower: Any = model.encoder.text
    tower.model.append(Dense(16, 12, activation_function=torch.nn.Tanh()))
    try:
        tower.width = model.encoder.dimension = model.dimension = 12
        publish(model, tmp_path / "out", "sentence-transformers")
        with pytest.raises(ModelError, match="more than a model with mean or cls pooling"):
            publish(model, tmp_path / "plain", "transformers")
    finally:
        del tower.model[-1]
    dense = json.loads((tmp_path / "out" / "2_Dense" / "config.json").read_text())
    assert dense["activation_function"].endswith("Tanh")
    assert "module_input_name" not in dense


@pytest.mark.parametrize(
    ("layout", "kind"), [("sentence-transformers", "bert"), ("transformers", "clip")]
)
def test_edited_weights_are_caught(
    layout: str, kind: str, models: MiniatureModels, shop: RankingDataset, tmp_path: Path
) -> None:
    def edit(folder: Path) -> None:
        path = folder / "model.safetensors"
        weights = load_file(path)
        name = max(weights, key=lambda one: weights[one].numel())
        weights[name] = weights[name] + 1e-2 * torch.randn(weights[name].shape)
        save_file(weights, path, metadata={"format": "pt"})

    _caught(getattr(models, kind)(), layout, shop, tmp_path, edit)


@pytest.mark.parametrize("layout", ["sentence-transformers", "transformers"])
def test_wrong_pooling_is_caught(
    layout: str, models: MiniatureModels, shop: RankingDataset, tmp_path: Path
) -> None:
    def edit(folder: Path) -> None:
        path = folder / "1_Pooling" / "config.json"
        stated = json.loads(path.read_text())
        stated |= {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
        path.write_text(json.dumps(stated))

    _caught(models.bert(), layout, shop, tmp_path, edit)


def test_a_missing_normalisation_is_caught(
    models: MiniatureModels, shop: RankingDataset, tmp_path: Path
) -> None:
    def edit(folder: Path) -> None:
        path = folder / "modules.json"
        path.write_text(json.dumps(json.loads(path.read_text())[:-1]))

    _caught(models.bert(), "sentence-transformers", shop, tmp_path, edit, match="of length")


def _caught(
    model: RankingModel,
    name: str,
    shop: RankingDataset,
    folder: Path,
    edit: Callable[[Path], None],
    *,
    match: str = "does not rank as the model does",
) -> None:
    layout = LAYOUTS[name]
    assert layout.open is not None
    layout.write(model, folder, OPTIONS)
    prove(model, layout.open(folder, OPTIONS), shop, OPTIONS, layout=layout)
    edit(folder)
    with pytest.raises(ModelError, match=match):
        prove(model, layout.open(folder, OPTIONS), shop, OPTIONS, layout=layout)


def test_a_decoder_is_pooled_by_its_last_token(tmp_path: Path) -> None:
    model = RankingModel.from_pretrained(decoder_folder(tmp_path / "decoder"), device="cpu")
    options = PublishOptions(texts=("red ball", "a much longer text of a box"))
    publish(model, tmp_path / "out", "sentence-transformers", options=options)
    assert "last_token" in str(LAYOUTS["transformers"].refuses(model))


@pytest.mark.parametrize(("family", "pooling"), [("CLIP", "pooler"), ("SigLIP", "mean")])
def test_half_a_dual_encoder_is_refused(tmp_path: Path, family: str, pooling: Any) -> None:
    folder = dual_folder(tmp_path / "dual", family)
    tower = TransformersTextTower.load(folder, max_tokens=12, pooling=pooling)
    (tmp_path / "half").mkdir()
    tower.save(tmp_path / "half")
    model = RankingModel.from_pretrained(tmp_path / "half", device="cpu")
    for name in ("sentence-transformers", "transformers"):
        assert "--as onnx" in str(LAYOUTS[name].refuses(model))


def test_what_cannot_be_written_says_why(models: MiniatureModels, tmp_path: Path) -> None:
    small = RankingModel(
        small_encoder(["red"], ["text", "image"], dimension=8, width=32, image_width=16),
        [Field("query", "text")],
        [Field("image", "image"), Field("title", "text")],
    )
    for layout, reason in (
        ("sentence-transformers", "a ResNetModel, gives feature maps"),
        ("transformers", "no model of two composed towers"),
    ):
        with pytest.raises(ModelError, match=reason):
            publish(small, tmp_path / "out", layout)
    text = RankingModel(small.encoder, [Field("query", "text")], [Field("title", "text")])
    with pytest.raises(ModelError, match="a projection follows its text tower"):
        publish(text, tmp_path / "out", "transformers")
    assert list(tmp_path.iterdir()) == []
    assert publish(text, tmp_path / "out", "sentence-transformers")


def test_settings_for_marqo(models: MiniatureModels, tmp_path: Path) -> None:
    publish(models.bert(pooling="cls", max_tokens=9), tmp_path / "out", "transformers")
    settings = json.loads((tmp_path / "out" / "marqo.json").read_text())
    assert settings["textQueryPrefix"] == "red "
    properties = settings["modelProperties"]
    assert properties["url"].startswith("https://")
    assert {k: properties[k] for k in ("type", "dimensions", "poolingMethod", "tokens")} == {
        "type": "hf",
        "dimensions": 16,
        "poolingMethod": "cls",
        "tokens": 9,
    }


def test_layouts_that_hold_no_model_of_any_image_shape(models: MiniatureModels) -> None:
    naflex = models.naflex()
    for name in ("onnx", "onnx-int8", "onnx-document", "openvino", "openvino-int8"):
        assert "takes images of any shape" in str(LAYOUTS[name].refuses(naflex))
    for name in ("open-clip", "vespa", "opensearch", "elasticsearch"):
        assert "choose --as" in str(LAYOUTS[name].refuses(naflex))
