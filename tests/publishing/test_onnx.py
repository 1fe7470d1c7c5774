"""ONNX exports: the same vectors in ONNX Runtime, tower by tower and for whole records."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.errors import MissingExtraError, ModelError
from rankfield.publishing import (
    LAYOUTS,
    ExportedModel,
    ExportedRecords,
    PublishOptions,
    prove,
    publish,
)
from rankfield.publishing.exported_model import Towers, _batches
from rankfield.publishing.onnx_export import OPSET
from rankfield.publishing.sessions import OnnxSession
from rankfield.publishing.tower_files import refuses_towers
from tiny_sentence_transformer import tiny_sentence_transformer

# an export takes seconds, minutes on a busy machine
pytestmark = pytest.mark.timeout(900)
TEXTS = ["red ball", "nice number please", "cheap gift", "x", "red " * 30]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    folder = tmp_path_factory.mktemp("text")
    tiny_sentence_transformer(folder / "made").save_pretrained(str(folder / "model"))
    return RankingModel.from_pretrained(
        folder / "model", query_prefix="blue ", document_prefix="green mug ", device="cpu"
    )


@pytest.fixture(scope="module")
def text_folder(text_model: RankingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("text-out") / "out"
    publish(text_model, out, "onnx")
    return out


@pytest.mark.parametrize("layout", ["onnx", "onnx-document"])
def test_both_layouts_are_proved(published: tuple[Path, dict[str, Any]], layout: str) -> None:
    proof = published[1][layout]
    assert proof.client.startswith("onnxruntime ")
    assert proof.largest_difference < 1e-6
    assert proof.ndcg10 == proof.client_ndcg10
    assert proof.ndcg10 > 0
    assert proof.incomplete > 0
    assert (published[0] / layout / "proof.json").is_file()


def test_graphs_have_the_names_and_free_axes_of_transformers_js(
    published: tuple[Path, dict[str, Any]],
) -> None:
    folder = published[0] / "onnx"
    shapes: dict[str, list[Any]] = {}
    for name in ("text_model", "vision_model"):
        graph = onnx.load(folder / "onnx" / f"{name}.onnx")
        assert [one.version for one in graph.opset_import if not one.domain] == [OPSET]
        session = onnxruntime.InferenceSession(folder / "onnx" / f"{name}.onnx")
        shapes |= {one.name: one.shape for one in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {
        "input_ids": ["batch", "sequence"],
        "attention_mask": ["batch", "sequence"],
        "text_embeds": ["batch", 16],
        "pixel_values": ["batch", 3, 16, 16],
        "image_embeds": ["batch", 16],
    }
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json", "fields.json"):
        assert (folder / name).is_file()


def test_an_edited_weight_is_caught(
    published: tuple[Path, dict[str, Any]], small_clip: RankingModel, tmp_path: Path
) -> None:
    folder = _copied(published[0] / "onnx", tmp_path / "edited")
    path = folder / "onnx" / "text_model.onnx"
    graph = onnx.load(path)
    weight = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    values = onnx.numpy_helper.to_array(weight).copy()
    values[5:] += 0.01
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(graph, path)
    with pytest.raises(ModelError, match="does not rank as the model does"):
        prove(small_clip, ExportedModel(folder), None, PublishOptions(), layout=LAYOUTS["onnx"])


def test_whole_records(published: tuple[Path, dict[str, Any]], small_clip: RankingModel) -> None:
    client = ExportedRecords(published[0] / "onnx-document", threads=1)
    images = [Image.new("RGB", (20 + n, 16), (60 * n, 200 - 40 * n, 30)) for n in range(4)]
    records: list[dict[str, Any]] = [
        {"image": images[:3], "title": "red ball"},
        {"image": images[3]},
        {"title": "a much longer title of a box"},
        {"image": images[1:3]},
    ]
    found = client.encode_records([*records, {}], "document")
    np.testing.assert_allclose(found[:-1], small_clip.encode_documents(records), atol=1e-6)
    assert not found[-1].any()
    query = client.encode_records([{"query": "red ball"}], "query")
    np.testing.assert_allclose(query, small_clip.encode_queries(["red ball"]), atol=1e-6)


def test_what_is_not_present_makes_no_difference(published: tuple[Path, dict[str, Any]]) -> None:
    session = OnnxSession(published[0] / "onnx-document" / "onnx" / "document.onnx")
    inputs = {
        "image.pixels": np.full((2, 2, 16, 16, 3), 9, np.uint8),
        "image.present": np.array([[True, False], [False, False]]),
        "title.input_ids": np.array([[1, 2, 3], [1, 4, 3]]),
        "title.attention_mask": np.ones((2, 3), np.int64),
        "title.present": np.array([False, True]),
    }
    assert session.names == inputs.keys()
    found = session.run(inputs, "document_embeds")
    inputs["image.pixels"][0, 1] = 200
    inputs["image.pixels"][1] = 77
    inputs["title.input_ids"][0] = 6
    np.testing.assert_allclose(session.run(inputs, "document_embeds"), found, atol=1e-6)
    inputs["image.present"][0, 1] = True
    assert np.abs(session.run(inputs, "document_embeds")[0] - found[0]).max() > 1e-3


def test_a_text_model_gives_token_states_to_sentence_transformers(
    text_model: RankingModel, text_folder: Path
) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    assert not list(text_folder.glob("*.safetensors"))
    path = text_folder / "onnx" / "model.onnx"
    tokens = text_model.encoder.tokenize(TEXTS, "query")
    session = OnnxSession(path)
    assert session.names <= tokens.keys()
    inputs = {name: tokens[name].numpy() for name in session.names}
    states = session.run(inputs, "last_hidden_state")
    pooling = Pooling.load(str(text_folder / "1_Pooling"))
    features = {"token_embeddings": torch.from_numpy(states.copy()), **tokens}
    pooled = torch.nn.functional.normalize(pooling(features)["sentence_embedding"])
    expected = text_model.encode_queries(TEXTS)
    np.testing.assert_allclose(pooled.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(session.run(inputs, "sentence_embedding"), expected, atol=1e-6)


def test_prefixes_and_batches_make_no_difference(
    text_model: RankingModel, text_folder: Path
) -> None:
    client = ExportedModel(text_folder, threads=1, tokens=16)
    expected = text_model.encode_documents(TEXTS)
    np.testing.assert_allclose(client.encode_texts(TEXTS, "document"), expected, atol=1e-6)
    assert np.abs(client.encode_texts(TEXTS, "query") - expected).max() > 1e-3
    assert client.encode_texts([], "query").size == 0
    with pytest.raises(ModelError, match="no vision tower"):
        client.encode_images([])


def test_batches_stay_within_the_budget_and_lose_nothing() -> None:
    lengths = [5, 90, 1, 7, 7, 3, 200]
    batches = list(_batches(lengths, 16))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 16
    assert [len(rows) for rows in _batches([1] * 130, 1000)] == [64, 64, 2]


def test_what_cannot_be_opened_is_said(
    published: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"has no graphs\.json"):
        ExportedModel(tmp_path)
    folder = _copied(published[0] / "onnx", tmp_path / "cut")
    (folder / "onnx" / "vision_model.onnx").write_bytes(b"\x08")
    with pytest.raises(ModelError, match="Publish the model again"):
        ExportedModel(folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[onnx\]'"):
        ExportedModel(folder)


@pytest.mark.parametrize("tower", ["text", "image"])
@pytest.mark.parametrize("path", ["../elsewhere.onnx", "onnx/../../elsewhere.onnx", "absolute"])
def test_graphs_outside_the_folder_are_refused(tmp_path: Path, tower: str, path: str) -> None:
    (tmp_path / "in").mkdir()
    outside = str(tmp_path / "elsewhere.onnx") if path == "absolute" else path
    (Towers(text=outside) if tower == "text" else Towers(image=outside)).save(tmp_path / "in")
    with pytest.raises(ModelError, match="outside its folder"):
        Towers.load(tmp_path / "in")


def test_graphs_of_a_hubs_cache_are_links_out_of_the_folder(
    text_model: RankingModel, text_folder: Path, tmp_path: Path
) -> None:
    _copied(text_folder, tmp_path / "blobs")
    for file in (tmp_path / "blobs").rglob("*"):
        if file.is_file():
            link = tmp_path / "snapshot" / file.relative_to(tmp_path / "blobs")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    found = ExportedModel(tmp_path / "snapshot", threads=1).encode_texts(TEXTS[:1], "query")
    np.testing.assert_allclose(found, text_model.encode_queries(TEXTS[:1]), atol=1e-6)


def test_a_tokenizer_without_a_file_is_refused(
    small_clip: RankingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refuses_towers(small_clip) is None
    monkeypatch.setattr(small_clip.encoder, "tokenizer", object())
    assert "tokenizer.json" in str(refuses_towers(small_clip))


def _copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))
