"""int8 graphs stay close to float32, OpenVINO's equal it; what int8 needs is asked for first."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.errors import InputError
from rankfield.publishing import ExportedModel, PublishOptions, publish
from rankfield.publishing.calibration import calibration_texts, calibration_values
from rankfield.publishing.exported_model import TextTokens, Towers
from rankfield.publishing.onnx_int8 import quantise_image, quantise_text, quantised
from rankfield.publishing.openvino_int8 import quantise
from rankfield.publishing.openvino_towers import to_openvino
from rankfield.schema import RankingDataset

# an export takes seconds, minutes on a busy machine
pytestmark = pytest.mark.timeout(900)
TEXTS = ["red ball", "nice number please", "cheap gift", "green box number"]


@pytest.fixture
def folder(published: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(published[0] / "onnx", tmp_path / "copy"))


def test_openvino_gives_the_same(small_clip: RankingModel, folder: Path) -> None:
    found = to_openvino(Towers.load(folder), folder)
    assert found.text == "openvino/openvino_text_model.xml"
    shutil.rmtree(folder / "onnx")
    client = ExportedModel(folder, threads=1)
    np.testing.assert_allclose(client.encode_texts(TEXTS, "query"), _texts(small_clip), atol=1e-6)
    np.testing.assert_allclose(client.encode_images(_images()), _vectors(small_clip), atol=1e-6)


def test_onnx_int8_is_close(
    small_clip: RankingModel, small_shop: RankingDataset, folder: Path
) -> None:
    towers = Towers.load(folder)
    values = calibration_values(small_clip, PublishOptions(dataset=small_shop), "onnx-int8")
    quantise_text(folder / towers.text, folder / quantised(towers.text))
    quantise_image(folder / towers.image, folder / quantised(towers.image), values)
    assert "MatMulInteger" in _operators(folder / quantised(towers.text))
    assert "QuantizeLinear" in _operators(folder / quantised(towers.image))
    replace(towers, text=quantised(towers.text), image=quantised(towers.image)).save(folder)
    client = ExportedModel(folder, threads=1)
    _require_close(client.encode_texts(TEXTS, "query"), _texts(small_clip))
    _require_close(client.encode_images(_images()), _vectors(small_clip))


def test_openvino_int8_is_close(small_clip: RankingModel, folder: Path) -> None:
    towers = to_openvino(Towers.load(folder), folder)
    tokens = TextTokens(folder, towers)
    names = frozenset({"input_ids", "attention_mask"})
    feeds = [tokens.tensors(tokens.read([text]), names) for text in TEXTS]
    quantise(folder / towers.text, folder / "int8.xml", feeds)
    assert "FakeQuantize" in (folder / "int8.xml").read_text("utf-8")
    replace(towers, text="int8.xml").save(folder)
    client = ExportedModel(folder, threads=1)
    _require_close(client.encode_texts(TEXTS, "query"), _texts(small_clip))


def test_int8_of_images_needs_training_images(
    small_clip: RankingModel, small_shop: RankingDataset, tmp_path: Path
) -> None:
    for layout in ("onnx-int8", "openvino-int8"):
        with pytest.raises(InputError, match=r"there is no data set.*--data"):
            publish(small_clip, tmp_path / "out", layout)
    assert list(tmp_path.iterdir()) == []
    options = PublishOptions(dataset=small_shop)
    texts = calibration_texts(small_clip, options, "openvino-int8")
    assert set(texts) <= set(small_shop.documents["title"].drop_nulls())
    assert texts == calibration_texts(small_clip, options, "openvino-int8")
    untitled = small_shop.documents.with_columns(title=pl.lit(None, dtype=pl.String))
    bare = replace(small_shop, documents=untitled)
    with pytest.raises(InputError, match="no training document has any text"):
        calibration_texts(small_clip, PublishOptions(dataset=bare), "openvino-int8")


def _images() -> list[Image.Image]:
    return [Image.new("RGB", (20, 16 + n), (60 * n, 200 - 40 * n, 30)) for n in range(4)]


def _texts(small_clip: RankingModel) -> NDArray[np.float32]:
    return small_clip.encode_queries(TEXTS)


def _vectors(small_clip: RankingModel) -> NDArray[np.float32]:
    return small_clip.encode_documents(_images())


def _operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def _require_close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    cosines = torch.nn.functional.cosine_similarity(
        torch.from_numpy(found), torch.from_numpy(expected)
    )
    assert float(cosines.min()) > 0.9
    assert np.abs(found - expected).max() > 1e-6  # it is int8
