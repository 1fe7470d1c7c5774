"""Multi-valued image fields in plain tables: lists, arrays, and paths with "|" between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from rankfield.errors import DataError, ImageError
from rankfield.formats import import_tables, read_tables
from rankfield.schema import Field

PHOTOS = [["p/0.png", "p/1.png"], ["p/1.png"], []]


def write(folder: Path, ending: str, photos: list[Any], name: str = "photos") -> Path:
    (folder / "p").mkdir(parents=True)
    for i, colour in enumerate(["red", "tan", "blue"]):
        Image.new("RGB", (8, 8), colour).save(folder / "p" / f"{i}.png")
    tables: dict[str, list[dict[str, Any]]] = {
        "queries": [{"query_id": "q0", "query": "red mug"}],
        "judgments": [{"query_id": "q0", "doc_id": "d0", "score": 1.0}],
        "documents": [
            {"doc_id": f"d{i}", "title": f"mug {word}", name: value}
            for i, (word, value) in enumerate(zip(["one", "two", "three"], photos, strict=True))
        ],
    }
    for table, rows in tables.items():
        path = folder / f"{table}.{ending}"
        if ending == "parquet":
            pl.DataFrame(rows).write_parquet(path)
        elif ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            pl.DataFrame(rows).write_csv(path, separator="\t" if ending == "tsv" else ",")
    return folder


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("chosen", [None, ["title", "photos"], ["title", "photos:image"]])
def test_lists_are_read_as_they_are(tmp_path: Path, ending: str, chosen: list[str] | None) -> None:
    src = write(tmp_path / "shop", ending, PHOTOS)
    data, _ = import_tables(src, tmp_path / "out", document_fields=chosen)
    assert data.document_fields == (Field("title", "text", 0.5), Field("photos", "image", 0.5))
    assert data.documents["photos"].to_list() == PHOTOS
    assert sorted(p.name for p in (tmp_path / "out" / "p").iterdir()) == ["0.png", "1.png"]


def test_json_lines_may_mix_paths_lists_and_nothing(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "jsonl", ["p/2.png", ["p/0.png", None], None])
    data, _ = read_tables(src)
    assert data.documents["photos"].to_list() == [["p/2.png"], ["p/0.png", None], None]
    single = write(tmp_path / "single", "jsonl", ["p/2.png", None, "p/0.png"], "photo")
    assert read_tables(single)[0].documents["photo"].to_list() == ["p/2.png", None, "p/0.png"]


def test_fixed_size_arrays_of_parquet(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "parquet", [["p/0.png", "p/1.png"]] * 3)
    frame = pl.read_parquet(src / "documents.parquet")
    arrays = frame.with_columns(pl.col("photos").cast(pl.Array(pl.String, 2)))
    arrays.write_parquet(src / "documents.parquet")
    data, _ = read_tables(src)
    assert data.documents["photos"].to_list() == [["p/0.png", "p/1.png"]] * 3
    assert Field("photos", "image", 0.5) in data.document_fields


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_paths_are_divided_only_where_the_field_says_so(tmp_path: Path, ending: str) -> None:
    src = write(tmp_path / "shop", ending, ["p/0.png | p/1.png|", "p/1.png", None])
    data, _ = import_tables(
        src, tmp_path / "out", document_fields=["title:text:0.2", "photos:images:0.8"]
    )
    assert data.document_fields == (Field("title", "text", 0.2), Field("photos", "image", 0.8))
    assert data.documents["photos"].to_list() == [["p/0.png", "p/1.png"], ["p/1.png"], None]
    plain, _ = read_tables(src, document_fields=["title", "photos:image"])
    assert plain.documents["photos"].to_list() == ["p/0.png | p/1.png|", "p/1.png", None]


def test_arrays_that_are_no_pictures_are_no_fields(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "jsonl", [["red", "mug"], ["tan"], None], "tags")
    data, notes = read_tables(src)
    assert data.documents["tags"].to_list() == ['["red", "mug"]', '["tan"]', None]
    assert data.document_fields == (Field("title", "text", 1.0),)
    assert any("not fields: tags" in note for note in notes)
    with pytest.raises(DataError, match=r"documents\.jsonl, row 1, column 'tags': .*found a list"):
        read_tables(src, document_fields=["tags:text"])


def test_bad_pictures_of_a_list_are_named(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "jsonl", [["p/0.png", "p/9.png"], ["p/9.png"], ["p/1.png"]])
    with pytest.raises(ImageError) as caught:
        import_tables(src, tmp_path / "out")
    message = str(caught.value)
    assert "documents.jsonl, row 1, column 'photos'" in message
    assert "item 1 (counted from 0), p/9.png: no such image (and 1 more bad image)" in message
    data, notes = import_tables(src, tmp_path / "out", bad_images="drop")
    assert data.documents["photos"].to_list() == [["p/0.png"], None, ["p/1.png"]]
    assert "documents, photos: cleared 2 bad image(s)" in notes


def test_lists_of_something_else(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "parquet", [[1], [2], [3]])
    with pytest.raises(DataError, match=r"'photos': expected paths .* found List\(Int64\)"):
        read_tables(src, document_fields=["photos:image"])
    with pytest.raises(DataError, match=r"'photos': expected text or the bytes of images"):
        read_tables(src, document_fields=["photos:text"])
