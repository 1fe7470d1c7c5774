"""`vectors.parquet` holds each document's own vector and the columns to filter by."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from rankfield import publish
from rankfield.encoders import RankingModel
from rankfield.errors import InputError, ModelError
from rankfield.publishing import PublishOptions
from rankfield.publishing.vector_recipes import vector_recipes
from rankfield.publishing.vectors import LAYOUT
from rankfield.schema import Field, RankingDataset
from tiny_models import tiny_clip
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    fields = [Field("image", "image", 0.9), Field("title", "text", 0.1)]
    source = tiny_clip(tmp_path_factory.mktemp("clip"))
    return RankingModel.from_pretrained(source, document_fields=fields, device="cpu")


def test_each_document_has_its_own_vector(
    model: RankingModel, shop: RankingDataset, tmp_path: Path
) -> None:
    assert publish(model, tmp_path / "out", "vectors", shop) == {"vectors": None}
    found = pl.read_parquet(tmp_path / "out" / "vectors.parquet")
    facts = json.loads((tmp_path / "out" / "vectors.json").read_text("utf-8"))
    expected = model.embed_documents(shop)
    present = np.flatnonzero(expected.any(axis=1))
    assert found["doc_id"].to_list() == shop.documents["doc_id"][present].to_list()
    vectors = np.array(found["vector"].to_list(), dtype=np.float32)
    np.testing.assert_allclose(vectors, expected[present], atol=1e-6)
    assert (facts["rows"], facts["without_vector"]) == (
        len(present),
        len(expected) - len(present),
    )
    assert facts["dimension"] == vectors.shape[1] == 16
    assert "title" in found.columns
    assert "image" not in found.columns
    kind = pq.read_schema(tmp_path / "out" / "vectors.parquet").field("vector").type
    assert str(kind).startswith("fixed_size_list")


def test_a_data_set_is_needed(model: RankingModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        publish(model, tmp_path / "out", "vectors")
    assert not (tmp_path / "out").exists()


def test_a_changed_file_is_noticed(
    model: RankingModel, shop: RankingDataset, tmp_path: Path
) -> None:
    LAYOUT.write(model, tmp_path, PublishOptions(dataset=shop))
    assert LAYOUT.check is not None
    LAYOUT.check(tmp_path)
    table = pq.read_table(tmp_path / "vectors.parquet")
    pq.write_table(table.slice(1), tmp_path / "vectors.parquet")
    with pytest.raises(ModelError, match="rows, not"):
        LAYOUT.check(tmp_path)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    longer = frame.with_columns(pl.col("vector").arr.to_list().list.eval(pl.element() * 2))
    dtype = pl.Array(pl.Float32, 16)
    longer.with_columns(pl.col("vector").cast(dtype)).write_parquet(tmp_path / "vectors.parquet")
    with pytest.raises(ModelError, match="length is not 1"):
        LAYOUT.check(tmp_path)


@pytest.mark.parametrize("dimension", [16, 3072])
def test_recipes_have_the_dimension_and_are_programs(dimension: int) -> None:
    text = vector_recipes(dimension, {"price": "float", 'a "b"': "list"})
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        ast.parse(program)
    assert f"size={dimension}" in text
    assert f"dim={dimension}" in text
    assert f'"vector" vector({dimension}) NOT NULL' in text
    assert '"a ""b""" text[]' in text
    assert ("halfvec" in text) == (dimension > 2000)
