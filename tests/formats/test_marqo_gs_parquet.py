"""Marqo-GS on Hugging Face: images stay bytes, and `datasets` loads what is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from miniatures_of_layouts import marqo_archive, marqo_parquet, png
from rankfield.errors import DataError, ImageError
from rankfield.formats.marqo_gs.archive import read_marqo_gs
from rankfield.formats.marqo_gs.parquet import (
    looks_like_marqo_gs_parquet,
    read_marqo_gs_parquet,
    write_marqo_gs_parquet,
)
from rankfield.schema import Field
from rankfield.validate import audit


def test_a_miniature_is_read_as_the_archive_is(tmp_path: Path) -> None:
    src = marqo_parquet(tmp_path / "src")
    assert looks_like_marqo_gs_parquet(src)
    data, notes = read_marqo_gs_parquet(src, bad_images="error")
    archive, _ = read_marqo_gs(marqo_archive(tmp_path / "archive"))
    assert data.judgments.equals(archive.judgments)
    assert data.score_scale == archive.score_scale
    columns = ["query_id", "query", "seen"]
    assert data.queries.select(columns).equals(archive.queries.select(columns))
    columns = ["doc_id", "title", "seen"]
    by_id = data.documents.sort("doc_id")
    assert by_id.select(columns).equals(archive.documents.sort("doc_id").select(columns))
    assert by_id["image"].to_list() == [png("red"), png("tan")] * 2
    assert data.document_fields == (Field("image", "image", 0.9), Field("title", "text", 0.1))
    assert set(data.queries["subset"]) <= {"dev", "test"}
    assert any("by a hash" in note for note in notes)
    saved = data.save(tmp_path / "out")
    assert [p for p in audit(saved) if p.severity == "error"] == []
    assert saved.fingerprint() == data.fingerprint()


def test_round_trip(tmp_path: Path) -> None:
    data, _ = read_marqo_gs_parquet(marqo_parquet(tmp_path / "src"))
    notes = write_marqo_gs_parquet(data, tmp_path / "back")
    again, _ = read_marqo_gs_parquet(tmp_path / "back")
    for table in ("queries", "documents", "judgments"):
        first, second = getattr(data, table), getattr(again, table)
        assert first.select(sorted(first.columns)).equals(second.select(sorted(first.columns)))
    assert again.document_fields == data.document_fields
    assert again.score_scale == data.score_scale
    assert [note for note in notes if "no place" in note] == [
        "queries: the layout has no place for subset"
    ]


def test_the_archive_becomes_parquet(tmp_path: Path) -> None:
    data, _ = read_marqo_gs(marqo_archive(tmp_path / "src"))
    notes = write_marqo_gs_parquet(data, tmp_path / "out")
    assert any("no place for price" in note for note in notes)
    again, _ = read_marqo_gs_parquet(tmp_path / "out")
    assert again.documents["image"].to_list() == [png("red"), png("tan")] * 2
    (tmp_path / "src" / "images_wfash" / "1.png").unlink()
    with pytest.raises(ImageError, match="no such image"):
        write_marqo_gs_parquet(data, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_other_places_of_the_files(tmp_path: Path) -> None:
    src = marqo_parquet(tmp_path / "src")
    data, _ = read_marqo_gs_parquet(src)
    moved = tmp_path / "moved"
    for file in sorted((src / "data").glob("*.parquet")):
        split, number = file.stem.split("-")[:2]
        folder = moved / split.replace("_", "-")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{folder.name}-{int(number)}.parquet")
    assert read_marqo_gs_parquet(moved)[0].judgments.equals(data.judgments)
    text, _ = read_marqo_gs_parquet(src, document_fields=["title:text"])
    assert text.documents.columns == ["doc_id", "title", "seen"]
    (src / "data" / "zero_shot-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"part 00001 of 00002 is missing \(1 in all\).*Fetch"):
        read_marqo_gs_parquet(src)
    (src / "data" / "zero_shot-00000-of-00002.parquet").unlink()
    assert "splits: no files of zero_shot" in read_marqo_gs_parquet(src)[1]
    for file in (src / "data").glob("in_domain*"):
        file.unlink()
    with pytest.raises(DataError, match="expected files of the split in_domain"):
        read_marqo_gs_parquet(src)
    assert looks_like_marqo_gs_parquet(src) is None


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data, _ = read_marqo_gs_parquet(marqo_parquet(tmp_path / "src"))
    write_marqo_gs_parquet(data, tmp_path / "out")
    loaded = datasets.load_dataset(
        str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), keep_in_memory=True
    )
    assert set(loaded) == {"in_domain", "novel_query", "novel_document", "zero_shot"}
    row = loaded["in_domain"][0]
    assert (row["query"], row["product_id"], row["score_linear"]) == ("red mug, old", "0", 100)
    assert row["image"].getpixel((0, 0)) == (255, 0, 0)
    loaded.save_to_disk(str(tmp_path / "saved"))
    again, _ = read_marqo_gs_parquet(tmp_path / "saved")
    assert again.judgments.equals(data.judgments)
    assert again.documents["image"].to_list() == data.documents["image"].to_list()
    assert isinstance(again.documents, pl.DataFrame)


def test_a_product_that_differs_is_its_first_row_and_a_note(tmp_path: Path) -> None:
    src = marqo_parquet(tmp_path / "src")
    path = src / "data" / "in_domain-00001-of-00002.parquet"
    rows = pl.read_parquet(path)
    changed = rows.with_columns(title=pl.col("title") + pl.lit("!"))
    changed.write_parquet(path)
    data, notes = read_marqo_gs_parquet(src)
    assert not data.documents["title"].str.ends_with("!").any()
    (note,) = (note for note in notes if "'title' differs" in note)
    assert f"product_id {rows['product_id'][0]!r}" in note
