"""int8 graphs rank nearly as float32, OpenVINO's as well; what int8 needs is asked for first."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders import RankingModel
from rankfield.errors import InputError
from rankfield.publishing import Proof, PublishOptions, publish
from rankfield.publishing.calibration import (
    calibration_texts,
    calibration_values,
    shared_out,
)
from rankfield.publishing.exported_model import Towers
from rankfield.schema import RankingDataset

# an export takes seconds, minutes on a busy machine
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def proved(
    small_clip: RankingModel,
    small_shop: RankingDataset,
    published: tuple[Path, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Proof | None]]:
    """A folder with each layout that is made from ONNX graphs, which were exported before."""

    def written(_model: RankingModel, folder: Path, _options: PublishOptions) -> Towers:
        shutil.copytree(published[0] / "onnx", folder, dirs_exist_ok=True)
        return Towers.load(folder)

    out = tmp_path_factory.mktemp("int8") / "out"
    with pytest.MonkeyPatch.context() as patched:
        for module in ("onnx_int8", "openvino_towers", "openvino_int8"):
            patched.setattr(f"rankfield.publishing.{module}.write_towers", written)
        return out, publish(small_clip, out, ["onnx-int8", "openvino", "openvino-int8"], small_shop)


def test_openvino_ranks_the_same(proved: tuple[Path, dict[str, Proof | None]]) -> None:
    folder, proof = proved[0] / "openvino", proved[1]["openvino"]
    assert proof is not None
    assert proof.largest_difference < 1e-5
    assert proof.client_ndcg10 == proof.ndcg10
    assert Towers.load(folder).text == "openvino/openvino_text_model.xml"
    assert not (folder / "onnx").exists()


@pytest.mark.parametrize("layout", ["onnx-int8", "openvino-int8"])
def test_int8_ranks_nearly_the_same(
    layout: str, proved: tuple[Path, dict[str, Proof | None]]
) -> None:
    folder, proof = proved[0] / layout, proved[1][layout]
    assert proof is not None
    assert proof.ndcg10 is not None
    assert proof.client_ndcg10 is not None
    print(f"{layout}: nDCG@10 {proof.ndcg10:.4f}, as int8 {proof.client_ndcg10:.4f}")
    assert proof.ndcg10 > 0.75  # 0.6 without training: there is something to lose
    assert proof.client_ndcg10 >= 0.995 * proof.ndcg10
    assert proof.largest_difference > 1e-5  # it is int8
    towers = Towers.load(folder)
    if layout == "onnx-int8":
        assert "MatMulInteger" in _operators(folder / towers.text)
        assert "QuantizeLinear" in _operators(folder / towers.image)
    else:
        for path in (towers.text, towers.image):
            assert "FakeQuantize" in (folder / path).read_text("utf-8")
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*.onnx")}
    kept |= {str(path.relative_to(folder)) for path in folder.rglob("*.xml")}
    assert kept == {towers.text, towers.image}  # no float32 graph is left


def test_int8_of_images_needs_training_images(
    small_clip: RankingModel, small_shop: RankingDataset, tmp_path: Path
) -> None:
    for layout in ("onnx-int8", "openvino-int8"):
        with pytest.raises(InputError, match=r"there is no data set.*--data"):
            publish(small_clip, tmp_path / "out", layout)
    assert list(tmp_path.iterdir()) == []
    options = PublishOptions(dataset=small_shop)
    texts = calibration_texts(small_clip, options, "openvino-int8")
    assert set(texts) & set(small_shop.documents["title"].drop_nulls())
    assert texts == calibration_texts(small_clip, options, "openvino-int8")
    queries = small_shop.training_queries()["query"]
    assert set(texts) & set(queries)  # ranges of titles alone would cut off queries
    assert not set(texts) - set(queries) - set(small_shop.training_documents()["title"])
    untitled = small_shop.documents.with_columns(title=pl.lit(None, dtype=pl.String))
    bare = replace(small_shop, documents=untitled)
    found = calibration_texts(small_clip, PublishOptions(dataset=bare), "openvino-int8")
    assert set(found) <= set(queries)
    pictures = small_shop.documents.with_columns(image=pl.lit(None, dtype=pl.Binary))
    bare = replace(small_shop, documents=pictures)
    with pytest.raises(InputError, match="no training record has any image"):
        calibration_values(small_clip, PublishOptions(dataset=bare), "onnx-int8")


@given(queries=st.integers(0, 600), documents=st.integers(0, 600))
def test_both_sides_share_the_records_of_a_calibration(queries: int, documents: int) -> None:
    shares = shared_out([queries, documents])
    assert sum(shares) == min(256, queries + documents)
    for share, count in zip(shares, (queries, documents), strict=True):
        assert min(count, 128) <= share <= count


def _operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}
