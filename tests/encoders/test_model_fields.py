"""The ranking model's fields: lists of images, each field's own part, learnt weights."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel, small_encoder
from rankfield.encoders.columns import field_columns
from rankfield.encoders.field_batch import field_batch
from rankfield.encoders.field_weights import FieldWeights
from rankfield.encoders.fusion import FieldBatch
from rankfield.evaluation import retrieve
from rankfield.schema import Field, RankingDataset, ScoreScale
from reference import fuse_loops, mean_loops

FIELDS = (Field("title", "text", 0.2), Field("photos", "image", 0.7), Field("details", "text", 0.4))
TITLES = ["red ball", None, "blue box", "", "grey", "box"]
PHOTOS = [["red", "blue"], ["red"], [], ["blue", "", "red", "red"], None, [None, "grey"]]
DETAILS = ["nice", None, None, "cheap", "nice", None]


def random_image(colour: str | None) -> bytes | None:
    if not colour:
        return None if colour is None else b""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def data() -> RankingDataset:
    photos = [None if p is None else [random_image(colour) for colour in p] for p in PHOTOS]
    documents = pl.DataFrame(
        {
            "doc_id": [f"d{i}" for i in range(6)],
            "title": TITLES,
            "photos": pl.Series(photos, dtype=pl.List(pl.Binary)),
            "details": DETAILS,
        }
    )
    return RankingDataset(
        name="lists",
        query_fields=(Field("query", "text"),),
        document_fields=FIELDS,
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q"], "query": ["box"]}),
        documents=documents,
        judgments=pl.DataFrame({"query_id": ["q"], "doc_id": ["d2"], "score": [1.0]}),
    )


def make(data: RankingDataset, **options: Any) -> RankingModel:
    torch.manual_seed(0)
    texts = [t for t in TITLES + DETAILS if t]
    encoder = small_encoder(texts, ["text", "image"], dimension=8, width=32, image_size=16)
    return RankingModel(encoder, data.query_fields, data.document_fields, **options).eval()


def batch_of(model: RankingModel, data: RankingDataset, rows: list[int]) -> FieldBatch:
    columns = field_columns(data.documents, model.document_fields)
    numbers = np.array(rows, dtype=np.int64)
    images = {
        column.field.name: {
            "pixels": model.read_pixels(
                [column.values[code] for code in column.codes_of(numbers)], data.image_source
            )
        }
        for column in columns
        if column.field.modality == "image" and len(column.codes_of(numbers))
    }
    return field_batch(model.encoder, columns, numbers, "document", images)


def by_loops(model: RankingModel, data: RankingDataset, weights: dict[str, float]) -> list[Any]:
    """Every record by itself: each item encoded alone, then the formulas."""
    records = []
    for row in data.documents.iter_rows(named=True):
        record = {}
        for field in FIELDS:
            held = row[field.name] if field.modality == "image" else [row[field.name]]
            items = [item for item in held or [] if item]
            if field.modality == "text":
                vectors = [
                    model.encoder.encode_text(model.encoder.tokenize([t], "document"))[0]
                    for t in items
                ]
            else:
                vectors = [
                    model.encoder.encode_image(model.read_pixels([b], data.image_source))[0]
                    for b in items
                ]
            if vectors:
                record[field.name] = mean_loops([v.tolist() for v in vectors])
        records.append(record)
    return [records, fuse_loops(records, weights)]


@torch.inference_mode()
def test_a_record_is_embedded_as_the_formulas_say(data: RankingDataset) -> None:
    model = make(data)
    records, fused = by_loops(model, data, {f.name: f.weight for f in FIELDS})
    expected = torch.tensor(fused)
    torch.testing.assert_close(
        torch.from_numpy(model.embed_documents(data)), expected, atol=1e-5, rtol=1e-4
    )
    rows = [5, 0, 3, 3, 1, 4]
    batch = batch_of(model, data, rows)
    assert len(batch.inputs["photos"].items["pixels"]) == 3  # each image once
    found, parts = model.encode_parts(batch, "document")
    assert torch.equal(found, model.encode(batch, "document"))
    torch.testing.assert_close(found, expected[rows], atol=1e-5, rtol=1e-4)
    assert list(parts) == ["title", "photos", "details"]
    for name, part in parts.items():
        wanted = [records[row].get(name, [0.0] * 8) for row in rows]
        torch.testing.assert_close(part, torch.tensor(wanted), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_field_that_nobody_has_is_no_part(data: RankingDataset) -> None:
    model = make(data)
    parts = model.encode_parts(batch_of(model, data, [1]), "document")[1]
    assert list(parts) == ["photos"]


def test_a_list_of_one_is_a_single_image(data: RankingDataset) -> None:
    model = make(data)
    one = [
        next((v for v in items or [] if v), None) for items in data.documents["photos"].to_list()
    ]
    single = data.documents.with_columns(photos=pl.Series(one, dtype=pl.Binary))
    lists = data.documents.with_columns(
        photos=pl.Series([[v] if v else [] for v in one], dtype=pl.List(pl.Binary))
    )
    found = [model.embed_documents(data.with_tables(documents=d)) for d in (single, lists)]
    np.testing.assert_array_equal(found[0], found[1])


def test_learnt_weights_begin_as_given_and_get_a_gradient(data: RankingDataset) -> None:
    plain, learning = make(data), make(data, learn_field_weights=True)
    assert list(learning.field_weights) == ["document"]  # one query field has nothing to weigh
    assert not list(plain.field_weights)
    batch = batch_of(plain, data, list(range(6)))
    one, other = (m.encode(batch, "document") for m in (plain, learning))
    torch.testing.assert_close(one, other)
    assert [f.weight for f in learning.current_fields("document")] == pytest.approx([0.2, 0.7, 0.4])
    (parameter,) = learning.field_weights.parameters()
    (gradient,) = torch.autograd.grad(other[:, 0].sum(), parameter)
    assert gradient.abs().sum() > 0
    assert learning.current_fields("query") == data.query_fields


def test_what_was_learnt_is_saved_as_the_weights(data: RankingDataset, tmp_path: Path) -> None:
    model = make(data, learn_field_weights=True)
    with torch.no_grad():
        next(iter(model.field_weights.parameters())).copy_(torch.tensor([1.5, -0.5, 0.25]))
    ratios = np.exp([1.5, -0.5, 0.25])
    expected = ratios / ratios.sum() * 1.3
    model.save(tmp_path / "m")
    loaded = RankingModel.load(tmp_path / "m")
    weights = [f.weight for f in loaded.document_fields]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert sum(weights) == pytest.approx(1.3)
    assert [f.name for f in loaded.document_fields] == [f.name for f in FIELDS]
    assert not list(loaded.field_weights.parameters())
    np.testing.assert_array_equal(loaded.embed_documents(data), model.embed_documents(data))
    _, fused = by_loops(model, data, dict(zip([f.name for f in FIELDS], expected, strict=True)))
    np.testing.assert_allclose(loaded.embed_documents(data), fused, atol=1e-5)


def test_a_query_of_a_model_that_learns_has_the_weights_of_now(data: RankingDataset) -> None:
    fields = (Field("query", "text", 0.5), Field("image", "image", 0.5))
    queries = data.queries.with_columns(image=pl.lit(random_image("red")))
    asked = RankingDataset(**{**vars(data), "query_fields": fields, "queries": queries})
    model = make(asked, learn_field_weights=True)
    with torch.no_grad():
        model.field_weights["query"].logarithms.copy_(torch.tensor([-2.0, 2.0]))  # type: ignore[operator]
    hits = retrieve(model, asked, "box", image=random_image("red"), k=6)
    scores = model.embed_documents(asked) @ model.embed_queries(asked)[0]
    np.testing.assert_allclose(hits["similarity"], np.sort(scores)[::-1], atol=1e-6)


def test_weights_stay_above_zero() -> None:
    weights = FieldWeights(FIELDS)
    with torch.no_grad():
        weights.logarithms.copy_(torch.tensor([0.0, 500.0, 0.0]))
    assert all(0 < f.weight < math.inf for f in weights.fields())
    assert weights.fields()[1].weight == pytest.approx(1.3)
