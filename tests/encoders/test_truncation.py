from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rankfield.encoders import RankingModel, small_encoder
from rankfield.encoders.columns import field_columns
from rankfield.encoders.field_batch import field_batch
from rankfield.errors import ModelError
from rankfield.schema import RankingDataset
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


@pytest.fixture
def model(shop: RankingDataset) -> RankingModel:
    torch.manual_seed(0)
    encoder = small_encoder(shop.documents["title"], ["text"], dimension=16, width=32)
    return RankingModel(encoder, shop.query_fields, shop.document_fields).eval()


def test_embeddings_are_cut_and_renormalised(shop: RankingDataset, model: RankingModel) -> None:
    whole = model.embed_documents(shop)
    assert model.truncate_to(5) is model
    cut = model.embed_documents(shop)
    assert cut.shape == (len(whole), 5)
    expected = whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, rtol=1e-5, atol=1e-6)
    rows = np.arange(4)
    columns = field_columns(shop.documents, shop.document_fields)
    batch = field_batch(model.encoder, columns, rows, "document", {})
    np.testing.assert_allclose(
        model.encode(batch, "document").detach().numpy(), cut[:4], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(model.truncate_to(16).embed_documents(shop), whole)


def test_a_saved_model_stays_cut(shop: RankingDataset, model: RankingModel, tmp_path: Path) -> None:
    wanted = model.truncate_to(5).embed_queries(shop)
    model.save(tmp_path / "model")
    header = tmp_path / "model" / "rankfield.json"
    values = json.loads(header.read_text("utf-8"))
    assert values["dimension"] == 5
    loaded = RankingModel.load(tmp_path / "model")
    assert loaded.dimension == 5
    np.testing.assert_array_equal(loaded.embed_queries(shop), wanted)
    del values["dimension"]  # as an earlier version wrote it
    header.write_text(json.dumps(values), "utf-8")
    assert RankingModel.load(tmp_path / "model").dimension == 16


@pytest.mark.parametrize("dimension", [0, 17])
def test_dimensions_out_of_range(model: RankingModel, dimension: int) -> None:
    with pytest.raises(ModelError, match="expected a dimension from 1 to 16"):
        model.truncate_to(dimension)


@pytest.mark.parametrize("dimension", [0, "five", None])
def test_a_damaged_header(model: RankingModel, tmp_path: Path, dimension: object) -> None:
    model.save(tmp_path / "model")
    header = tmp_path / "model" / "rankfield.json"
    values = json.loads(header.read_text("utf-8"))
    header.write_text(json.dumps(values | {"dimension": dimension}), "utf-8")
    with pytest.raises(ModelError):
        RankingModel.load(tmp_path / "model")
