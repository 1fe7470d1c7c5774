"""Parts that a real model embeds, and explanations by the fields of documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from misbehaving_server import png
from rankfield.encoders import RankingModel, small_encoder
from rankfield.errors import ImageError, InputError
from rankfield.index import Index, build_index, index_model
from rankfield.query import DocumentFields, Query, Searcher
from rankfield.schema import Field, RankingDataset
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    made = tiny_shop(tmp_path_factory.mktemp("data") / "tiny")
    extra = made.documents["title"].reverse()
    return made.with_tables(documents=made.documents.with_columns(details=extra)).save(
        tmp_path_factory.mktemp("data") / "shop"
    )


def _index(
    shop: RankingDataset,
    folder: Path,
    *,
    images: bool = True,
    dimension: int = 16,
    dtype: str = "float32",
) -> tuple[Index, RankingModel]:
    torch.manual_seed(0)
    encoder = small_encoder(
        shop.documents["title"].drop_nulls(), ["text", "image"], dimension=16, width=32,
        layers=1, image_size=24, image_width=32,
    )  # fmt: skip
    fields = [Field("title", "text", 0.3), Field("details", "text", 0.2)]
    if images:
        fields.append(Field("image", "image", 0.9))
    RankingModel(encoder, shop.query_fields, fields).save(folder / "model")
    index = build_index(folder / "model", shop, folder / "index", dimension=dimension, dtype=dtype)
    return index, index_model(index)


@pytest.mark.parametrize(
    ("images", "dimension", "dtype"),
    [(True, 16, "float32"), (True, 7, "float32"), (False, 16, "float16"), (False, 5, "float32")],
)
def test_fields_add_up_to_the_stored_vector(
    shop: RankingDataset, tmp_path: Path, images: bool, dimension: int, dtype: str
) -> None:
    index, model = _index(shop, tmp_path, images=images, dimension=dimension, dtype=dtype)
    query = Query.of({"red ball": 1, "cup": -0.4}, limit=len(index), explain=True)
    answer = Searcher(index, model).search(query)
    assert len(answer.hits) == len(index)
    tolerance = 1e-3 if dtype == "float16" else 2e-6
    rows = dict(zip(shop.documents["doc_id"], shop.documents.iter_rows(named=True), strict=True))
    for hit in answer.hits:
        assert hit.explanation is not None
        assert hit.explanation.notes == ()
        present = {field.name for field in model.fields("document") if rows[hit.doc_id][field.name]}
        for part in hit.explanation.terms[0].terms:
            *fields, rest = part.terms
            assert {term.name for term in fields} == present
            assert (rest.kind, abs(rest.adds) < tolerance * 4) == ("rest", True)
            assert sum(term.adds for term in part.terms) == pytest.approx(part.adds, abs=1e-12)


def test_a_field_adds_what_leaving_it_out_takes_away(shop: RankingDataset, tmp_path: Path) -> None:
    index, model = _index(shop, tmp_path, images=False)
    query = model.encode_queries("red ball")[0].astype(np.float64)
    documents = index.documents()
    vectors = index.vectors(documents["doc_id"])
    (found, *_), why = DocumentFields(model).added(documents.head(1), vectors[:1])
    assert why == ""
    assert found is not None
    alone = model.encode_documents([{"title": documents["title"][0]}])[0]
    np.testing.assert_allclose(found["title"] / np.linalg.norm(found["title"]), alone, atol=1e-5)
    assert np.linalg.norm(found["title"]) / np.linalg.norm(found["details"]) == pytest.approx(
        1.5, rel=1e-5
    )
    total = sum(query @ added for added in found.values())
    assert total == pytest.approx(float(query @ vectors[0]), abs=1e-6)


def test_documents_that_changed_are_explained_by_parts_alone(
    shop: RankingDataset, tmp_path: Path
) -> None:
    index, model = _index(shop, tmp_path, images=False)
    first = index.documents().head(1)
    index.upsert(first, -index.vectors(first["doc_id"]))
    hits = Searcher(index, model).search(Query.of("red ball", limit=len(index), explain=True)).hits
    for hit in hits:
        assert hit.explanation is not None
        (part,) = hit.explanation.terms[0].terms
        changed = hit.doc_id == first["doc_id"][0]
        assert (part.terms == ()) == changed
        assert ("not as it was" in " ".join(hit.explanation.notes)) == changed


def test_images_that_are_gone_are_said(shop: RankingDataset, tmp_path: Path) -> None:
    index, model = _index(shop, tmp_path)
    searcher = Searcher(index, model, fields=DocumentFields(model))
    hit = searcher.search(Query.of("red ball", explain=True)).hits[0]
    assert hit.explanation is not None
    assert "fields of the documents are not all known here" in hit.explanation.notes[0]
    assert hit.explanation.terms[0].terms[0].terms == ()


def test_parts_are_embedded_as_the_model_does(shop: RankingDataset, tmp_path: Path) -> None:
    index, model = _index(shop, tmp_path)
    image = png((200, 10, 10), size=20)
    some = index.documents()["doc_id"][3]
    query = Query.of(
        [
            {"text": "red ball", "weight": 2},
            {"image": image, "weight": 0.5},
            {"text": "cup", "image": image, "weight": -0.25},
            {"fields": {"query": "blue"}},
            {"like": some, "weight": 0.75},
        ],
        limit=len(index),
        keep_liked=True,
    )
    records: list[Any] = ["red ball", image, {"query": "cup", "image": image}, "blue"]
    units = [*(model.encode_queries(one)[0] for one in records), index.vectors([some])[0]]
    total = np.array([2, 0.5, -0.25, 1, 0.75]) @ np.stack(units).astype(np.float64)
    wanted = index.search((total / np.linalg.norm(total)).astype(np.float32)[None], len(index))
    hits = Searcher(index, model).search(query).hits
    similarity = dict(wanted.select("doc_id", "similarity").iter_rows())
    for hit in hits:
        assert hit.similarity == pytest.approx(similarity[hit.doc_id], abs=1e-6)
    assert some in {hit.doc_id for hit in hits}
    left = Searcher(index, model).search(Query.of(query, keep_liked=False)).hits
    assert len(left) == len(hits) - 1
    assert some not in {hit.doc_id for hit in left}


def test_images_that_are_none(shop: RankingDataset, tmp_path: Path) -> None:
    index, model = _index(shop, tmp_path)
    searcher = Searcher(index, model)
    with pytest.raises(ImageError, match=r"query, query.1: not an image"):
        searcher.search(["red", {"image": b"nonsense"}])
    with pytest.raises(InputError, match="expected a text for the field 'query', found an image"):
        searcher.search([{"fields": {"query": png()}}])
    with pytest.raises(InputError, match=r"expected an image .* for the field 'image', found a te"):
        searcher.search([{"fields": {"image": "/etc/passwd"}}])


def test_columns_that_are_called_as_the_answers_are(shop: RankingDataset, tmp_path: Path) -> None:
    clash = shop.documents.with_columns(rank=pl.int_range(pl.len()), score=pl.lit("much"))
    named = shop.with_tables(documents=clash).save(tmp_path / "clash")
    index, model = _index(named, tmp_path, images=False)
    frame = Searcher(index, model).search("red ball").frame()
    assert frame.columns[:3] == ["rank", "score", "similarity"]
    assert {"source_rank", "source_score"} <= set(frame.columns)
    assert frame["rank"].to_list() == list(range(1, 11))
