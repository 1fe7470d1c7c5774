from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel, small_encoder
from rankfield.errors import ImageError, InputError
from rankfield.evaluation import retrieve
from rankfield.index import CachedEmbedder
from rankfield.schema import Field, RankingDataset
from rankfield.search import Corpus, SearchOptions
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def model(shop: RankingDataset) -> RankingModel:
    torch.manual_seed(0)
    texts = shop.documents["title"].drop_nulls()
    encoder = small_encoder(
        texts, ["text", "image"], dimension=16, width=32, image_size=24, image_width=32
    )
    return RankingModel(encoder, shop.query_fields, shop.document_fields).eval()


def test_it_is_the_order_of_inner_products(shop: RankingDataset, model: RankingModel) -> None:
    found = retrieve(model, shop, shop.queries["query"][3], k=7)
    assert found.columns == ["rank", "similarity", *shop.documents.columns]
    assert found["rank"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    similarity = model.embed_documents(shop) @ model.embed_queries(shop)[3]
    order = np.argsort(-similarity, kind="stable")[:7]
    assert found["doc_id"].to_list() == shop.documents["doc_id"][order.tolist()].to_list()
    np.testing.assert_allclose(found["similarity"], similarity[order], atol=1e-6)


def test_more_than_there_are(shop: RankingDataset, model: RankingModel) -> None:
    found = retrieve(model, shop, "red ball", k=10_000)
    assert len(found) == len(shop.documents)
    assert found["similarity"].is_sorted(descending=True)
    assert not model.training


def test_a_picture_finds_itself(shop: RankingDataset, model: RankingModel, tmp_path: Path) -> None:
    alone = RankingModel(model.encoder, shop.query_fields, [Field("image", "image")]).eval()
    photos = shop.with_tables(documents=shop.documents.filter(pl.col("image").is_not_null()))
    photo = photos.documents["image"][5]
    path = tmp_path / "photo.png"
    path.write_bytes(photo)
    for image in (photo, path, str(path)):
        found = retrieve(alone, photos, image=image, k=3)
        assert found["image"][0] == photo
        assert found["similarity"][0] == pytest.approx(1.0, abs=1e-5)


def test_text_and_picture_count_alike(shop: RankingDataset, model: RankingModel) -> None:
    photo = shop.documents["image"].drop_nulls()[0]
    k = len(shop.documents)
    text, image, both = (
        retrieve(model, shop, *query, image=picture, k=k).sort("doc_id")["similarity"].to_numpy()
        for query, picture in ((("red ball",), None), ((), photo), (("red ball",), photo))
    )
    # Both unit vectors count 1, so that the similarities add up, but for the sum's length.
    total = text + image
    ratio = total / both
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)


def test_own_weights_of_a_query_picture(shop: RankingDataset, model: RankingModel) -> None:
    fields = [Field("query", "text", 0.2), Field("photo", "image", 0.8)]
    weighing = RankingModel(model.encoder, fields, shop.document_fields).eval()
    photo = shop.documents["image"].drop_nulls()[0]
    found = retrieve(weighing, shop, "red ball", image=photo, k=3)
    queries = pl.DataFrame({"query_id": ["q"], "query": ["red ball"], "photo": [photo]})
    expected = model.embed_documents(shop) @ weighing.embed_queries(shop, queries)[0]
    np.testing.assert_allclose(found["similarity"], np.sort(expected)[::-1][:3], atol=1e-6)


def test_queries_that_the_model_cannot_take(
    shop: RankingDataset, model: RankingModel, tmp_path: Path
) -> None:
    for text in ("", "  \n"):
        with pytest.raises(InputError, match="give a query text, an image, or both"):
            retrieve(model, shop, text)
    with pytest.raises(ImageError, match="no such image"):
        retrieve(model, shop, image=tmp_path / "none.png")
    with pytest.raises(ImageError, match="not an image"):
        retrieve(model, shop, image=b"nonsense")
    encoder = small_encoder(["a"], ["text"], dimension=8, width=32, layers=1)
    text_only = RankingModel(encoder, shop.query_fields, [Field("title", "text")])
    with pytest.raises(InputError, match="takes no images"):
        retrieve(text_only, shop, "red", image=b"")
    by_photo = RankingModel(model.encoder, [Field("image", "image")], shop.document_fields)
    with pytest.raises(InputError, match="takes no query text"):
        retrieve(by_photo, shop, "red")


def test_columns_of_the_same_name_come_under_another(
    shop: RankingDataset, model: RankingModel
) -> None:
    clash = shop.documents.with_columns(
        rank=pl.int_range(pl.len()),
        similarity=pl.lit("much"),
        source_rank=pl.lit(7),
    )
    found = retrieve(model, shop.with_tables(documents=clash), "red ball", k=5)
    plain = retrieve(model, shop, "red ball", k=5)
    assert found.select(plain.columns).equals(plain)
    assert found.columns[len(plain.columns) :] == [
        "source_source_rank", "source_similarity", "source_rank",
    ]  # fmt: skip
    assert found["source_rank"].to_list() == [7] * 5
    rows = clash.select("doc_id", "rank").join(found, on="doc_id", how="inner")
    assert (rows["rank"] == rows["source_source_rank"]).all()


def test_a_model_cut_to_fewer_dimensions(shop: RankingDataset, model: RankingModel) -> None:
    cut = RankingModel(model.encoder, shop.query_fields, shop.document_fields).eval()
    found = retrieve(cut.truncate_to(5), shop, shop.queries["query"][3], k=7)
    similarity = cut.embed_documents(shop) @ cut.embed_queries(shop)[3]
    order = np.argsort(-similarity, kind="stable")[:7]
    assert found["doc_id"].to_list() == shop.documents["doc_id"][order.tolist()].to_list()
    assert cut.dimension == 5


def test_it_searches_where_the_model_is(
    shop: RankingDataset, model: RankingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []
    search = Corpus.search

    def spied(self: Corpus, queries: Any, k: int, options: SearchOptions) -> Any:
        devices.append(options.device)
        return search(self, queries, k)

    monkeypatch.setattr(Corpus, "search", spied)
    monkeypatch.setattr(RankingModel, "device", torch.device("cpu", 0))
    retrieve(model, shop, "red ball")
    assert devices == ["cpu:0"]


def test_documents_through_a_cache(
    shop: RankingDataset, model: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = CachedEmbedder(model, "abc", tmp_path / "cache")
    expected = retrieve(model, shop, "red ball")
    assert retrieve(model, shop, "red ball", documents=cached).equals(expected)

    def embed(*_: Any) -> Any:
        raise AssertionError("embedded again")

    monkeypatch.setattr(model, "embed_documents", embed)
    monkeypatch.setattr(RankingModel, "embed_chunks", _queries_only(RankingModel.embed_chunks))
    assert retrieve(model, shop, "red ball", documents=cached).equals(expected)


def _queries_only(embed: Any) -> Any:
    def chunks(self: Any, dataset: Any, frame: Any, side: str, **options: Any) -> Any:
        assert side == "query"
        return embed(self, dataset, frame, side, **options)

    return chunks
