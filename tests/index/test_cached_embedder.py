from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.encoders.small import small_encoder
from rankfield.errors import InputError, OutputError
from rankfield.evaluation import evaluate
from rankfield.index import CachedEmbedder
from rankfield.schema import Field, RankingDataset
from rankfield.work_folder import work_folder
from ranking_shop import ranking_shop


@pytest.fixture
def data() -> RankingDataset:
    return ranking_shop()


@pytest.fixture
def model(data: RankingDataset, monkeypatch: pytest.MonkeyPatch) -> RankingModel:
    monkeypatch.setattr("rankfield.encoders.pipeline.CHUNK", 16)
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"], ["text"], dimension=8, width=16, layers=1)
    return RankingModel(encoder, data.query_fields, data.document_fields, name="tiny").eval()


@pytest.fixture
def embedded(model: RankingModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first row of every chunk that the model embeds."""
    rows: list[int] = []
    chunks = RankingModel.embed_chunks

    def record(*arguments: Any, **options: Any) -> Iterator[Any]:
        for start, chunk in chunks(*arguments, **options):
            rows.append(start)
            yield start, chunk

    monkeypatch.setattr(RankingModel, "embed_chunks", record)
    return rows


def test_embeds_once_and_evaluates_the_same(
    tmp_path: Path, data: RankingDataset, model: RankingModel, embedded: list[int]
) -> None:
    expected = evaluate(model, data)
    cached = CachedEmbedder(model, "abc", tmp_path / "cache")
    first = evaluate(cached, data)
    before = len(embedded)
    again = evaluate(CachedEmbedder(model, "abc", tmp_path / "cache"), data)
    assert len(embedded) == before
    assert first.splits == again.splits == expected.splits
    assert again.rankings.equals(expected.rankings)


def test_a_killed_run_goes_on_where_it_stopped(
    tmp_path: Path,
    data: RankingDataset,
    model: RankingModel,
    embedded: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = model.embed_documents(data)
    embedded.clear()
    chunks = RankingModel.embed_chunks

    def killed(*arguments: Any, **options: Any) -> Iterator[Any]:
        for start, chunk in chunks(*arguments, **options):
            if start == 48:
                raise KeyboardInterrupt
            yield start, chunk

    cached = CachedEmbedder(model, "abc", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(RankingModel, "embed_chunks", killed)
        with pytest.raises(KeyboardInterrupt):
            cached.embed_documents(data, data.documents)
    (header,) = (json.loads(p.read_text()) for p in tmp_path.glob(".*.partial/progress.json"))
    assert header["done"] == 48
    assert embedded == [0, 16, 32, 48]
    found = cached.embed_documents(data, data.documents)
    assert embedded == [0, 16, 32, 48, 48, 64]
    np.testing.assert_array_equal(found, expected)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable


def test_another_model_dimension_field_or_text_is_embedded_anew(
    tmp_path: Path, data: RankingDataset, model: RankingModel
) -> None:
    def entries() -> int:
        return len(list(tmp_path.glob("*")))

    cached = CachedEmbedder(model, "abc", tmp_path)
    cached.embed_documents(data, data.documents)
    cached.embed_documents(data, data.documents.with_columns(other=pl.lit(1)))
    assert entries() == 1  # the model does not look at that column
    CachedEmbedder(model, "abd", tmp_path).embed_documents(data, data.documents)
    assert entries() == 2
    changed = data.documents.with_columns(pl.col("title").str.replace("red", "blue"))
    found = cached.embed_documents(data, changed)
    np.testing.assert_array_equal(found, model.embed_documents(data, changed))
    assert entries() == 3
    cached.embed_documents(data, data.documents.reverse())
    assert entries() == 4
    half = CachedEmbedder(model, "abc", tmp_path, dtype="float16")
    assert half.embed_documents(data, data.documents).dtype == np.float16
    model.truncate_to(4)
    assert cached.embed_documents(data, data.documents).shape == (80, 4)
    assert entries() == 6


@pytest.mark.parametrize("damage", ["header", "nested", "pipe", "state", "rows", "gone"])
def test_a_damaged_entry_is_made_anew(
    tmp_path: Path, data: RankingDataset, model: RankingModel, damage: str
) -> None:
    cached = CachedEmbedder(model, "abc", tmp_path)
    expected = np.array(cached.embed_documents(data, data.documents))
    (folder,) = tmp_path.iterdir()
    header = json.loads((folder / "index.json").read_text())
    if damage == "header":
        (folder / "index.json").write_text("{")
    elif damage == "nested":
        (folder / "index.json").write_text("[" * 100_000)
    elif damage == "pipe":
        (folder / "vectors-0.npy").unlink()
        os.mkfifo(folder / "vectors-0.npy")
    elif damage == "state":
        header["state"]["segments"][0]["rows"] = 81
        (folder / "index.json").write_text(json.dumps(header))
    elif damage == "rows":
        (folder / "vectors-0.npy").write_bytes(b"short")
    else:
        (folder / "vectors-0.npy").unlink()
    np.testing.assert_array_equal(cached.embed_documents(data, data.documents), expected)


def test_a_changed_picture_is_embedded_anew(tmp_path: Path) -> None:
    shop = ranking_shop(documents=16)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "photo.png")
    photos = shop.documents.with_columns(photo=pl.lit("photo.png"))
    data = RankingDataset(
        name="photos",
        query_fields=shop.query_fields,
        document_fields=(Field("photo", "image"),),
        score_scale=shop.score_scale,
        queries=shop.queries,
        documents=photos,
        judgments=shop.judgments,
        root=tmp_path,
    )
    encoder = small_encoder(
        shop.queries["text"], ["text", "image"], dimension=8, width=16, layers=1
    )
    model = RankingModel(encoder, data.query_fields, data.document_fields)
    cached = CachedEmbedder(model, "abc", tmp_path / "cache")
    red = np.array(cached.embed_documents(data, data.documents))
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "photo.png")
    os.utime(tmp_path / "photo.png", (1, 1))
    assert not np.array_equal(cached.embed_documents(data, data.documents), red)


def test_no_rows_and_bad_settings(
    tmp_path: Path, data: RankingDataset, model: RankingModel
) -> None:
    cached = CachedEmbedder(model, "abc", tmp_path)
    assert cached.embed_documents(data, data.documents.head(0)).shape == (0, 8)
    with pytest.raises(InputError, match="float32 or float16"):
        CachedEmbedder(model, "abc", tmp_path, dtype="int8")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        CachedEmbedder(model, "abc", tmp_path / "file").embed_documents(data, data.documents)


def test_the_fingerprint_of_a_model_is_its_files(tmp_path: Path, model: RankingModel) -> None:
    model.save(tmp_path / "one")
    model.save(tmp_path / "two")
    assert model_fingerprint(tmp_path / "one") == model_fingerprint(tmp_path / "two")
    model.truncate_to(4).save(tmp_path / "two", overwrite=True)
    assert model_fingerprint(tmp_path / "one") != model_fingerprint(tmp_path / "two")


def test_links_in_a_cache_are_not_written_through(
    tmp_path: Path, data: RankingDataset, model: RankingModel
) -> None:
    (tmp_path / "precious").write_text("precious")
    cached = CachedEmbedder(model, "abc", tmp_path / "cache")
    expected = np.array(cached.embed_queries(data, data.queries))
    (entry,) = (tmp_path / "cache").iterdir()
    (entry / "vectors-0.npy").unlink()
    (entry / "vectors-0.npy").symlink_to(tmp_path / "precious")
    assert np.array_equal(cached.embed_queries(data, data.queries), expected)
    assert (tmp_path / "precious").read_text() == "precious"
    partial = tmp_path / "cache" / f".{entry.name}.partial"
    shutil.rmtree(entry)
    partial.symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs").mkdir()
    with pytest.raises(OutputError, match="it is a link"):
        cached.embed_queries(data, data.queries)
    assert not list((tmp_path / "theirs").iterdir())
    partial.unlink()
    assert np.array_equal(cached.embed_queries(data, data.queries), expected)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        cached.embed_queries(data, data.queries)


def test_two_processes_do_not_write_one_entry(
    tmp_path: Path, data: RankingDataset, model: RankingModel, embedded: list[int]
) -> None:
    cached = CachedEmbedder(model, "abc", tmp_path)
    expected = cached.embed_documents(data, data.documents)
    (entry,) = tmp_path.iterdir()
    with work_folder(tmp_path / f".{entry.name}.partial", "index", names=()):
        assert (cached.embed_documents(data, data.documents) == expected).all()  # only read
        (entry / "index.json").unlink()
        embedded.clear()
        with pytest.raises(OutputError, match="another run is writing it"):
            cached.embed_documents(data, data.documents)
        assert not embedded
    assert (cached.embed_documents(data, data.documents) == expected).all()
