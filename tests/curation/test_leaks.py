"""The leak report finds what crosses between the sides, kind by kind."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from rich.console import Console

from rankfield.curation.leaks import LeakReport, leak_report
from rankfield.errors import SplitError
from rankfield.schema import Field, RankingDataset, ScoreScale


def make(root: Path) -> RankingDataset:
    """A split data set, divided by hand so that everything leaks once or twice."""
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        Image.new("RGB", (8, 8), colour).save(root / f"{name}.png")
    return RankingDataset(
        name="leaky",
        query_fields=(Field("query", "text"),),
        document_fields=(
            Field("brand", "text"),
            Field("title", "text"),
            Field("photo", "image"),
        ),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            {
                "query_id": ["q0", "q1", "q2", "q3", "q4"],
                "query": ["red mug", "laptop", "Red  mug!", "laptops", "plate"],
                "seen": [True, True, False, False, False],
                "subset": ["dev", "test", "dev", "test", "dev"],
            }
        ),
        documents=pl.DataFrame(
            {
                "doc_id": ["d0", "d1", "d2", "d3", "d4"],
                "brand": ["x"] * 5,
                "title": ["Blue cup", "Tea pot", "blue cup", "Pots, tea", None],
                "photo": ["a.png", "b.png", "c.png", None, "gone.png"],
                "style": ["s", "t", "u", "t", None],
                "seen": [True, True, False, False, False],
            }
        ),
        judgments=pl.DataFrame(
            {"query_id": ["q0"], "doc_id": ["d0"], "score": [1.0], "split": ["in_domain"]}
        ),
        root=root,
    )


def counts(report: LeakReport) -> dict[tuple[str, str], int]:
    return {(leak.table, leak.kind): leak.count for leak in report.leaks}


def test_each_kind_is_counted_once(tmp_path: Path) -> None:
    report = leak_report(make(tmp_path), group_documents_by="style")
    assert counts(report) == {
        ("queries", "same id"): 0,
        ("queries", "same text"): 1,
        ("queries", "same words in the text"): 1,
        ("documents", "same id"): 0,
        ("documents", "same title"): 1,
        ("documents", "same words in the title"): 1,
        ("documents", "identical photo"): 1,
        ("documents", "same style"): 1,
    }
    assert report.total == 6
    by_kind = {(leak.table, leak.kind): leak.examples for leak in report.leaks}
    assert by_kind["queries", "same text"] == (("q0: red mug", "q2: Red  mug!"),)
    assert by_kind["queries", "same words in the text"] == (("q1: laptop", "q3: laptops"),)
    assert by_kind["documents", "identical photo"] == (("d0: a.png", "d2: c.png"),)
    assert report.notes == ("1 images could not be read",)


def test_it_prints_and_becomes_json(tmp_path: Path) -> None:
    report = leak_report(make(tmp_path), group_documents_by="style")
    assert json.loads(json.dumps(report.as_dict()))["leaks"][1]["count"] == 1
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report)
    assert "q1: laptop · q3: laptops" in capture.get()
    assert "could not be read" in capture.get()


def test_many_images_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    data = make(tmp_path)
    report = leak_report(data, max_images=3)
    assert ("documents", "identical photo") not in counts(report)
    assert report.notes == ("4 images in documents, photo were not compared",)
    assert counts(leak_report(data, max_images=None))["documents", "identical photo"] == 1


def test_images_as_bytes(tmp_path: Path) -> None:
    data = make(tmp_path)
    column = pl.Series("photo", [b"1", b"2", b"1", None, b""], dtype=pl.Binary)
    data = data.with_tables(documents=data.documents.with_columns(column))
    assert counts(leak_report(data))["documents", "identical photo"] == 1


def test_lists_of_images(tmp_path: Path) -> None:
    """d2 shares both images with d0, d3 one with d1; d4 has none that is known."""
    photos = [["a.png", "b.png"], ["c2.png"], ["", "b.png", "a2.png"], ["c2.png", None], []]
    data = make(tmp_path)
    (tmp_path / "a2.png").write_bytes((tmp_path / "a.png").read_bytes())
    Image.new("RGB", (8, 8), "green").save(tmp_path / "c2.png")
    column = pl.Series("photo", photos, dtype=pl.List(pl.String))
    data = data.with_tables(documents=data.documents.with_columns(column))
    report = leak_report(data)
    (found,) = (leak for leak in report.leaks if leak.kind == "identical photo")
    assert found.count == 2
    assert found.examples == (("d0: b.png", "d2: b.png"), ("d1: c2.png", "d3: c2.png"))
    assert report.notes == ()


def test_what_cannot_be_reported(tmp_path: Path) -> None:
    data = make(tmp_path)
    with pytest.raises(SplitError, match="no column 'stile'"):
        leak_report(data, group_documents_by="stile")
    with pytest.raises(SplitError, match="has no splits"):
        leak_report(data.with_tables(judgments=data.judgments.drop("split")))
