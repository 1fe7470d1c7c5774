"""The audit page and the data card: complete, accessible, true to the data, and self-contained."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from parsed_page import Page
from rankfield import audit
from rankfield.errors import OutputError
from rankfield.report import write_audit_page, write_data_card
from rankfield.report.audit_numbers import coverage, image_bars, judgments_each, score_bars
from rankfield.report.data_card import data_card
from rankfield.schema import DatasetFolder, Field, Provenance, RankingDataset
from rankfield.validate import summarise


@pytest.fixture
def divided(dataset: RankingDataset) -> RankingDataset:
    rows = pl.int_range(pl.len())
    subset = pl.when(rows % 2 == 0).then(pl.lit("dev")).otherwise(pl.lit("test"))
    return dataset.with_tables(queries=dataset.queries.with_columns(seen=rows < 6, subset=subset))


@pytest.fixture
def unsplit(dataset: RankingDataset) -> RankingDataset:
    return dataset.with_tables(judgments=dataset.judgments.drop("split"))


def write(path: Path, data: RankingDataset) -> tuple[str, Page]:
    write_audit_page(path, dataset=data, problems=audit(data))
    source = path.read_text("utf-8")
    return source, Page(source)


def test_the_page_is_accessible_and_needs_nothing_else(
    tmp_path: Path, divided: RankingDataset
) -> None:
    source, page = write(tmp_path / "audit.html", divided)
    assert page.headings.count(1) == 1
    for before, after in zip(page.headings, page.headings[1:], strict=False):
        assert after <= before + 1
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("scope") for attrs in page.all("th"))
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert all((attrs["href"] or "")[1:] in ids for attrs in page.all("a"))
    assert page.all("script") == []
    assert "<script" not in source
    assert '<script>alert("' not in source  # a query of the data set
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset"):
            assert re.match(r"data:|#|$", attrs.get(name) or ""), attrs
    assert "@import" not in source


def test_it_says_what_is_there_and_what_is_wrong(tmp_path: Path, divided: RankingDataset) -> None:
    _, page = write(tmp_path / "audit.html", divided)
    words = page.words
    assert "tiny <shop>" in words
    assert "9 queries, 12 documents and 99 judgments. 1 error to be fixed" in words
    assert "error documents, image bad image 1 ×" in words
    assert "row 11: 11.png: no such image" in words
    assert "no image" in words
    for section in ("Coverage of the fields", "Splits", "Leaks", "Data card", "CC0-1.0"):
        assert section in words
    assert "documents same title 0 –" in words
    assert "leaks were found" not in words
    leaky = divided.with_tables(queries=divided.queries.with_columns(text=pl.lit("mug")))
    _, page = write(tmp_path / "leaky.html", leaky)
    assert "Between the sides of the split, 3 leaks were found." in page.words
    assert "queries same text 3 q0: mug · q6: mug" in page.words
    _, page = write(
        tmp_path / "undivided.html", divided.with_tables(queries=divided.queries.drop("subset"))
    )
    assert "Leaks" not in page.words


def test_duplicates_stand_side_by_side(tmp_path: Path, unsplit: RankingDataset) -> None:
    titles = ["Mug", "MUG!", "mug", *(f"cup {i}" for i in range(9))]
    data = unsplit.with_tables(
        documents=unsplit.documents.with_columns(title=pl.Series(titles)),
        queries=unsplit.queries.with_columns(text=pl.Series([f"query {i}" for i in range(9)])),
    )
    _, page = write(tmp_path / "audit.html", data)
    duplicates = page.words.split("for a split.")[1].split("Data card")[0]
    assert re.search(
        r"^ Documents: 2 beyond the first of 1 group\. Mug .* 3 ×.* d0 .* d1 .* d2", duplicates
    )
    assert "Splits" not in page.words
    assert len(page.all("img")) == 3


def test_nothing_is_wrong(tmp_path: Path, unsplit: RankingDataset) -> None:
    data = unsplit.with_tables(
        documents=unsplit.documents.head(11).with_columns(
            title=pl.Series([f"cup {i}" for i in range(11)])
        )
    )
    _, page = write(tmp_path / "audit.html", data)
    assert "Nothing is wrong with it." in page.words
    assert "None was found" in page.words


def test_a_folder_gives_the_same_bytes(tmp_path: Path, unsplit: RankingDataset) -> None:
    data = unsplit.with_tables(documents=unsplit.documents.head(11)).save(tmp_path / "saved")
    write(tmp_path / "a.html", data)
    folder = DatasetFolder.load(tmp_path / "saved")
    write_audit_page(tmp_path / "b.html", dataset=folder, problems=audit(folder))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert data_card(data, []) == data_card(folder, [])


def test_the_figures_are_those_of_the_tables(dataset: RankingDataset) -> None:
    assert [count for _, count in score_bars(summarise(dataset)).rows] == (
        dataset.judgments["score"].value_counts().sort("score")["count"].to_list()
    )
    assert judgments_each(dataset, "queries").rows == (("11 – 20", 9),)
    few = dataset.with_tables(judgments=dataset.judgments.filter(pl.col("doc_id") != "d3"))
    assert judgments_each(few, "documents").rows == (
        ("0", 2), ("1", 0), ("2", 0), ("3 – 5", 0), ("6 – 10", 10),
    )  # fmt: skip
    blank = dataset.documents.with_columns(
        details=pl.Series(["a b c", "", None, "d", *["e f"] * 8], dtype=pl.String)
    )
    found = {
        c.field: (c, bars)
        for c, bars in coverage(dataset.with_tables(documents=blank), "documents")
    }
    details, bars = found["details"]
    assert (details.present, details.records, details.words) == (10, 12, (1, 2, 3))
    assert bars is not None
    assert bars.rows == (("1", 1), ("2", 8), ("3 – 5", 1))
    assert found["image"][0].share == 1.0
    assert found["image"][1] is None


def test_sizes_shapes_and_formats_of_images(tmp_path: Path, dataset: RankingDataset) -> None:
    root = dataset.root
    assert root is not None
    Image.new("RGB", (900, 300)).save(root / "0.png")
    Image.new("RGB", (60, 60)).save(root / "1.png", format="JPEG")
    sides, shapes, formats = image_bars(dataset, "documents", "image")
    assert sides.rows == (
        ("under 64", 1), ("64 – 127", 0), ("128 – 255", 9), ("256 – 511", 0), ("512 – 1023", 1),
    )  # fmt: skip
    assert [count for _, count in shapes.rows] == [9, 1, 1]
    assert formats.rows == (("PNG", 10), ("JPEG", 1))
    assert sides.unit == "of 11 images"  # the twelfth is missing


def test_the_card_is_what_the_hub_reads(tmp_path: Path, dataset: RankingDataset) -> None:
    yaml = pytest.importorskip("yaml")
    write_data_card(tmp_path / "card.md", dataset, audit(dataset))
    text = (tmp_path / "card.md").read_text("utf-8")
    _, front, body = text.split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["pretty_name"] == "tiny <shop>"
    assert head["license"] == "cc0-1.0"
    assert head["size_categories"] == ["n<1K"]
    assert {"image", "text", "learning-to-rank"} <= set(head["tags"])
    assert {c["config_name"]: c["data_files"] for c in head["configs"]} == {
        table: f"{table}.parquet" for table in ("documents", "judgments", "queries")
    }
    assert "# tiny \\<shop\\>" in body
    assert dataset.fingerprint() in body
    assert "- error: bad image, documents, image: 1" in body
    assert "| judgments | score | Float64 |" in body


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("in-house: yes", {"license": "other", "license_name": "in-house: yes"}),
        ("", {"license": "unknown"}),
        ("OSL-3.0", {"license": "osl-3.0"}),
    ],
)
def test_licences(dataset: RankingDataset, licence: str, expected: dict[str, str]) -> None:
    yaml = pytest.importorskip("yaml")
    data = dataclasses.replace(dataset, provenance=Provenance(licence=licence))
    head = yaml.safe_load(data_card(data, []).split("---\n")[1])
    assert {key: head.get(key) for key in expected} == expected


def test_texts_without_images_and_a_place_that_cannot_be(
    tmp_path: Path, unsplit: RankingDataset
) -> None:
    data = dataclasses.replace(unsplit, document_fields=(Field("title", "text"),))
    _, page = write(tmp_path / "audit.html", data)
    assert page.all("img") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_audit_page(tmp_path / "file" / "a.html", dataset=data, problems=[])
