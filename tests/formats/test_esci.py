"""Amazon ESCI: the stated grades, the published split, and the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from miniatures_of_layouts import esci
from rankfield.curation import split
from rankfield.errors import DataError
from rankfield.formats.esci.reading import looks_like_esci, read_esci, write_esci
from rankfield.formats.guesses import guess_scale
from rankfield.schema import Field
from rankfield.synthetic import sample_shop
from rankfield.validate import audit


def test_a_miniature_is_read(tmp_path: Path) -> None:
    src = esci(tmp_path / "esci")
    assert looks_like_esci(src)
    data, notes = read_esci(src, locale="us", held_out=0)
    assert data.name == "esci-us-large"
    assert data.judgments.select("query_id", "doc_id", "score", "esci_label", "split").rows() == [
        ("1", "B01", 1.0, "E", "in_domain"),
        ("1", "B02", 0.1, "S", "in_domain"),
        ("2", "B02", 1.0, "E", "in_domain"),
        ("2", "B01", 0.01, "C", "in_domain"),
        ("4", "B03", 1.0, "E", "novel_query"),
        ("4", "B01", 0.0, "I", "novel_query"),
    ]
    assert (data.score_scale.minimum, data.score_scale.maximum) == (0, 1)
    assert data.score_scale.relevant == 1
    assert data.document_fields[0] == Field("product_title", "text", 0.6)
    assert len(data.document_fields) == 5
    assert data.documents["doc_id"].to_list() == ["B01", "B02", "B03", "B04"]
    assert data.queries["source"].to_list() == ["other", "negations", "behavioral"]
    assert data.view("novel_query", "test").documents.height == 4
    assert any("E = 1, S = 0.1, C = 0.01, I = 0" in note for note in notes)
    saved = data.save(tmp_path / "out")
    assert [p for p in audit(saved) if p.severity == "error"] == []


def test_choices(tmp_path: Path) -> None:
    src = esci(tmp_path / "esci")
    every, _ = read_esci(src)
    assert every.documents["doc_id"].to_list() == ["us:B01", "us:B02", "us:B03", "es:B01", "us:B04"]
    assert every.documents["product_id"][3] == "B01"
    small, _ = read_esci(src, version="small", judged_only=True)
    assert set(small.queries["query_id"]) == {"1", "2", "4"}
    assert set(small.documents["doc_id"]) == {"us:B01", "us:B02", "us:B03"}
    graded, _ = read_esci(src, grades={"E": 3, "S": 2, "C": 1, "I": 0}, relevant=2)
    assert graded.judgments["score"].to_list() == [3, 2, 3, 1, 0, 3, 0]
    assert graded.score_scale.relevant == 2
    titles, _ = read_esci(src, document_fields=["product_title:text"])
    assert titles.document_fields == (Field("product_title", "text"),)
    out, notes = read_esci(src, held_out=0.999)
    assert out.queries["subset"].to_list() == ["dev", "dev", "dev", "test"]
    assert any("held out as dev" in note for note in notes)
    with pytest.raises(DataError, match=r"no example of the locale jp.*locales es, us"):
        read_esci(src, locale="jp")
    with pytest.raises(DataError, match="a score for each of E, S, C, I"):
        read_esci(src, grades={"E": 1})


@pytest.mark.parametrize("locale", ["us", None])
def test_round_trip(tmp_path: Path, locale: str | None) -> None:
    data, _ = read_esci(esci(tmp_path / "esci"), locale=locale, held_out=0)
    notes = write_esci(data, tmp_path / "out")
    again, _ = read_esci(tmp_path / "out", locale=locale, held_out=0, name=data.name)
    for table in ("queries", "documents", "judgments"):
        first, second = getattr(data, table), getattr(again, table)
        assert first.select(sorted(first.columns)).equals(second.select(sorted(first.columns)))
    assert again.score_scale == data.score_scale
    assert again.document_fields == data.document_fields
    assert not any("no place" in note for note in notes)


def test_what_gains_nothing_is_labelled_irrelevant(tmp_path: Path) -> None:
    data = sample_shop(tmp_path / "shop", documents=60, queries=20, images=False)
    low = pl.col("score").min()
    grades = pl.when(pl.col("score") == low).then(-2.0).otherwise(0.0)
    best = pl.when(pl.col("score") == pl.col("score").max()).then(3.0).otherwise(grades)
    judgments = data.judgments.with_columns(score=best)
    scale = guess_scale(judgments["score"])
    write_esci(replace(data, judgments=judgments, score_scale=scale), tmp_path / "out")
    found = read_esci(tmp_path / "out", held_out=0)[0].judgments["esci_label"]
    assert found.to_list() == ["E" if score > 0 else "I" for score in judgments["score"]]


def test_any_data_set_gets_labels(tmp_path: Path) -> None:
    data = split(sample_shop(tmp_path / "shop", documents=60, queries=20, images=False))
    notes = write_esci(data, tmp_path / "out")
    novel = data.view("novel_document").judgments.height
    assert any(f"the {novel:,} of novel_document are in train" in note for note in notes)
    again, _ = read_esci(tmp_path / "out", held_out=0)
    assert again.judgments.height == data.judgments.height
    assert set(again.judgments["esci_label"]) <= {"E", "S", "C", "I"}
    places = (data.judgments["score"] - data.score_scale.minimum) / (
        data.score_scale.maximum - data.score_scale.minimum
    )
    for place, label in zip(places, again.judgments["esci_label"], strict=True):
        gains = {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
        assert abs(gains[label] - place) == min(abs(gain - place) for gain in gains.values())
    seen = data.queries.join(again.queries, on="query", suffix="_again")
    assert seen["seen"].equals(seen["seen_again"].alias("seen"))
    assert any("whole numbers" in note for note in notes)
    assert any("no place for" in note for note in notes)
    assert isinstance(again.documents, pl.DataFrame)


def test_what_is_relevant_lies_on_the_scale(tmp_path: Path) -> None:
    src = esci(tmp_path / "src")
    with pytest.raises(DataError, match=r"relevant: 2 is outside the score scale, 0 to 1"):
        read_esci(src, relevant=2)
    grades = {"E": 3.0, "S": 2.0, "C": 1.0, "I": 0.0}
    assert read_esci(src, relevant=2, grades=grades)[0].score_scale.relevant == 2
    worse = read_esci(src, grades=grades | {"C": -1.0, "I": -2.0})[0].score_scale
    assert (worse.minimum, worse.floor, worse.relevant) == (-2, 0, 3)
    with pytest.raises(DataError, match=r"held_out: expected a fraction.*found 1"):
        read_esci(src, held_out=1)
