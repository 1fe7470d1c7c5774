"""Encoders of open_clip: the same embeddings, saved, loaded, and never fetched unasked."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

if importlib.util.find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed: make open-clip", allow_module_level=True)

from rankfield.encoders import OpenClipEncoder, RankingModel
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import ModelError
from rankfield.schema import Field
from rankfield.training.layers import layer_depths
from tiny_open_clip import (
    ARCHITECTURE,
    FAMILIES,
    TEXTS,
    add_architecture,
    open_clip_folder,
    refuse_network,
)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(tmp_path_factory.mktemp("open-clip") / request.param, request.param)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(tmp_path_factory.mktemp("open-clip") / "clip", "clip")


def image(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def reference(folder: Path, images: list[Image.Image]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return open_clip's own embeddings of `TEXTS` and images."""
    open_clip = import_open_clip()
    with quiet_transformers(), torch.inference_mode():
        model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
        model.eval()
        pixels = torch.stack([preprocess(one) for one in images])
        return model.encode_text(tokens), model.encode_image(pixels)


def embeddings(
    encoder: OpenClipEncoder, images: list[Image.Image]
) -> tuple[torch.Tensor, torch.Tensor]:
    encoder.eval()
    pixels = np.stack([encoder.transform.to_array(one) for one in images])
    with torch.inference_mode():
        texts = encoder.encode_text(encoder.tokenize(TEXTS, "query"))
        return texts, encoder.encode_image(torch.from_numpy(pixels))


IMAGES = [image(70, 50), image(33, 90, 1), image(32, 32, 2)]


def test_embeddings_are_those_of_open_clip(folder: Path) -> None:
    encoder = OpenClipEncoder.from_pretrained(folder)
    for expected, found in zip(reference(folder, IMAGES), embeddings(encoder, IMAGES), strict=True):
        assert found.shape == (len(expected), 16) == (len(expected), encoder.dimension)
        assert expected.abs().max() > 1e-2
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_what_is_saved_needs_no_source_and_opens_in_open_clip(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(folder, source)
    config = source / "open_clip_config.json"
    config.write_text(config.read_text().replace(str(folder), str(source)))
    encoder = OpenClipEncoder.from_pretrained(source, query_prefix="a ", document_prefix="b ")
    fields = [Field("text", "text")]
    model = RankingModel(encoder, fields, [Field("photo", "image"), *fields]).eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.01)
    model.save(tmp_path / "saved")
    expected = model.encode_documents(TEXTS[:2]), model.encode_documents(IMAGES)
    shutil.rmtree(source)
    saved = RankingModel.load(tmp_path / "saved")
    assert isinstance(saved.encoder, OpenClipEncoder)
    assert saved.encoder.prefixes == {"query": "a ", "document": "b "}
    np.testing.assert_array_equal(saved.encode_documents(TEXTS[:2]), expected[0])
    np.testing.assert_array_equal(saved.encode_documents(IMAGES), expected[1])
    if "hf_model_name" in saved.encoder.model_cfg["text_cfg"]:
        text = saved.encoder.model_cfg["text_cfg"]
        assert text["hf_model_name"] == str(source / "text_config")
        assert str(source) not in (tmp_path / "saved" / "text_config" / "config.json").read_text()
        return  # open_clip looks for the configuration of its text model where it was
    plain = OpenClipEncoder.from_pretrained(tmp_path / "saved")
    for one, other in zip(
        reference(tmp_path / "saved", IMAGES), embeddings(plain, IMAGES), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_an_architecture_with_a_checkpoint(
    clip: Path, tmp_path: Path, suffix: str, wrapped: bool
) -> None:
    from safetensors.torch import load_file, save_file

    add_architecture(clip)
    weights = load_file(clip / "open_clip_model.safetensors")
    if wrapped:
        weights = {f"module.{name}": value for name, value in weights.items()}
    path = tmp_path / f"epoch_1{suffix}"
    if suffix == ".safetensors":
        save_file(weights, path)
    else:
        optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}}
        torch.save({"epoch": 1, "state_dict": weights, "optimizer": optimizer}, path)
    encoder = OpenClipEncoder.from_pretrained(ARCHITECTURE, checkpoint=path)
    for expected, found in zip(reference(clip, IMAGES), embeddings(encoder, IMAGES), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    # a folder's configuration with other weights
    again = OpenClipEncoder.from_pretrained(clip, checkpoint=path)
    assert torch.equal(embeddings(again, IMAGES)[1], embeddings(encoder, IMAGES)[1])


def test_pickled_weights_of_a_folder(clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    shutil.copytree(clip, tmp_path / "bin")
    weights = tmp_path / "bin" / "open_clip_model.safetensors"
    torch.save(load_file(weights), tmp_path / "bin" / "open_clip_pytorch_model.bin")
    weights.unlink()
    encoder = OpenClipEncoder.from_pretrained(f"local-dir:{tmp_path / 'bin'}")
    expected = OpenClipEncoder.from_pretrained(clip).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in encoder.state_dict().items())


def test_texts_are_cut_where_nothing_follows_that_counts(clip: Path) -> None:
    encoder = OpenClipEncoder.from_pretrained(clip).eval()
    short = encoder.tokenize(["red ball", "ball"], "query")
    assert short["input_ids"].shape == (2, 4)
    assert encoder.tokenize(TEXTS, "query")["input_ids"].shape == (len(TEXTS), 77)
    with torch.inference_mode():
        whole = encoder.encode_text({"input_ids": encoder.tokenizer(["red ball", "ball"])})
        torch.testing.assert_close(encoder.encode_text(short), whole, atol=1e-6, rtol=1e-6)


def test_a_frozen_tower_keeps_its_statistics(tmp_path: Path) -> None:
    encoder = OpenClipEncoder.from_pretrained(open_clip_folder(tmp_path / "m", "bert"))
    before = {name: value.clone() for name, value in encoder.model.visual.state_dict().items()}
    encoder.freeze("vision")
    encoder.train()
    encoder.encode_image(torch.zeros(4, 32, 32, 3, dtype=torch.uint8))
    after = encoder.model.visual.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert encoder.model.text.training
    assert not any(p.requires_grad for p in encoder.model.visual.parameters())
    assert all(p.requires_grad for p in encoder.text_parameters())


LAYERS: dict[str, dict[str, int]] = {
    "clip": {"text": 2, "vision": 2},
    "siglip": {"text": 2, "vision": 6},
    "bert": {"text": 1, "vision": 4},
}


def test_depths_of_layers(folder: Path) -> None:
    encoder = OpenClipEncoder.from_pretrained(folder)
    for name, tower in encoder.pretrained_towers().items():
        names = [n for n, _ in tower.named_parameters()]
        depths, layers = layer_depths(names)
        assert layers == LAYERS[folder.name][name]
        ends = ("text_projection", "text_projection.weight", "proj", "head.proj.weight")
        assert all(depths[n] == layers for n in names if n in ends), depths
        starts = ("positional_embedding", "token_embedding.weight", "class_embedding")
        assert all(depths[n] == 0 for n in names if n in starts), depths


def changed(folder: Path, out: Path, **parts: dict[str, Any]) -> Path:
    """Return a copy of a folder with these values in its configuration."""
    shutil.copytree(folder, out)
    path = out / "open_clip_config.json"
    config = json.loads(path.read_text())
    for name, values in parts.items():
        place = config["model_cfg"] if name == "model_cfg" else config["model_cfg"].get(name)
        (config[name] if place is None else place).update(values)
    path.write_text(json.dumps(config))
    return out


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"model_cfg": {"multimodal_cfg": {}}}, r"a decoder beside its towers \(CoCa\)"),
        ({"model_cfg": {"embed_dim": "16"}}, "expected 'model_cfg' with 'embed_dim'"),
        ({"vision_cfg": {"timm_model_name": "local-dir:/x"}}, "a vision tower by its path"),
        ({"vision_cfg": {"layers": 10**6}}, "'layers' to be 2,000 at most"),
        ({"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}, "trust_remote_code"),
        ({"text_cfg": {"unknown": 1}}, "cannot be loaded .*unknown"),
        ({"text_cfg": {"layers": 1}}, r"has, beyond .* text\.transformer\.resblocks\.1.* more"),
        ({"text_cfg": {"layers": 3}}, r"lacks the weights text\.transformer\.resblocks\.2.* more"),
        ({"text_cfg": {"context_length": 9}}, r"positional_embedding \(77, 32\) \(the .* \(9, 32"),
        ({"text_cfg": {"vocab_size": 100}}, r"token_embedding\.weight \(49408, 32\)"),
        ({"preprocess_cfg": {"resize_mode": "middle"}}, "unknown resize_mode 'middle'"),
    ],
)
def test_configurations_that_are_refused(
    clip: Path, tmp_path: Path, parts: dict[str, Any], problem: str
) -> None:
    wrong = changed(clip, tmp_path / "wrong", **parts)
    with pytest.raises(ModelError, match=problem) as caught:
        OpenClipEncoder.from_pretrained(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "checkpoint", "problem"),
    [
        ("ViT-B-32", None, "an architecture of open_clip, without weights.*Give its checkpoint"),
        ("ViT-B-32", "no.pt", r"no\.pt: there is no such file"),
        ("ViTB32", None, r"has no such architecture\. Did you mean 'ViT-B-32'"),
        ("local-dir:/no/such", None, "there is no such folder"),
        ("hf-hub:nobody/nothing", None, "cannot be reached"),
        ("nobody/nothing", None, "cannot be reached"),
        ("/no/such/folder", None, "no such folder, and no hub id is spelt so"),
    ],
)
def test_names_that_lead_nowhere(
    monkeypatch: pytest.MonkeyPatch, name: str, checkpoint: str | None, problem: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=problem):
        OpenClipEncoder.from_pretrained(name, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("family", "missing", "what"),
    [
        ("siglip", "tokenizer*", "tokenizer"),
        ("bert", "text_config", "configuration of its text"),
    ],
)
def test_what_a_folder_lacks_is_not_fetched(
    tmp_path: Path, family: str, missing: str, what: str
) -> None:
    folder = open_clip_folder(tmp_path / "m", family)
    for path in folder.glob(missing):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if family == "bert":
        folder = changed(folder, tmp_path / "n", text_cfg={"hf_model_name": "nobody/bert"})
    with pytest.raises(ModelError, match=rf"lacks the {what}.* nobody/.*hf download nobody/"):
        OpenClipEncoder.from_pretrained(folder)


def test_a_tokenizer_of_the_hub_is_asked_for_where_the_model_is_there(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def tokenizer(name: str, **options: Any) -> Any:
        asked.append((name, options.get("local_files_only", False)))
        return object()

    monkeypatch.setattr("rankfield.encoders.open_clip_source.model_folder", lambda *_, **__: clip)
    monkeypatch.setattr(import_open_clip().tokenizer, "HFTokenizer", tokenizer)
    config = json.loads((clip / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "nobody/tokenizer"
    monkeypatch.setattr("rankfield.encoders.open_clip_source.read_json_object", lambda _: config)
    OpenClipEncoder.from_pretrained("nobody/model")
    OpenClipEncoder.from_pretrained(clip)
    assert asked == [("nobody/tokenizer", False), ("nobody/tokenizer", True)]


def test_folders_that_are_something_else(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no open_clip_config\.json\. Give a folder"):
        OpenClipEncoder.from_pretrained(tmp_path)
    shutil.copy(clip / "open_clip_config.json", tmp_path)
    with pytest.raises(ModelError, match=r"no weights that open_clip saved"):
        OpenClipEncoder.from_pretrained(tmp_path)
