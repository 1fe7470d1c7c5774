"""Marqo-GS's archive: the published splits are kept, and what is written reads back the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from miniatures_of_layouts import marqo_archive, marqo_rows, write_csv
from rankfield.curation import split
from rankfield.errors import DataError, ImageError, OutputError, SplitError
from rankfield.formats.marqo_gs.archive import looks_like_marqo_gs, read_marqo_gs, write_marqo_gs
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.validate import audit


def test_a_miniature_is_read(tmp_path: Path) -> None:
    src = marqo_archive(tmp_path / "marqo_gs_wfash_1m")
    assert looks_like_marqo_gs(src)
    assert looks_like_marqo_gs(tmp_path) is None
    data, notes = read_marqo_gs(src, bad_images="error")
    assert data.name == "marqo_gs_wfash_1m"
    assert data.score_scale.relevant == data.score_scale.minimum == 1
    assert data.score_scale.maximum == 100
    assert data.query_fields == (Field("query", "text"),)
    assert data.document_fields == (
        Field("image_local", "image", 0.9),
        Field("title", "text", 0.1),
    )
    assert data.queries.select("query_id", "query", "seen", "subset").rows() == [
        ("0", "red mug, old", True, "dev"),
        ("1", "tan mug, old", True, "test"),
        ("10", "red mug, new", False, "dev"),
        ("11", "tan mug, new", False, "test"),
    ]
    assert data.documents.rows() == [
        ("0", 'A "red" mug', "images_wfash/0.png", 9.5, True),
        ("1", 'A "tan" mug', "images_wfash/1.png", 10.5, True),
        ("100", 'A "red" mug', "images_wfash/100.png", 9.5, False),
        ("101", 'A "tan" mug', "images_wfash/101.png", 10.5, False),
    ]
    assert data.judgments.height == 16
    first = data.judgments.row(0, named=True)
    assert first == {
        "query_id": "0",
        "doc_id": "0",
        "score": 100.0,
        "position": 1,
        "pair_id": "00-0",
        "score_reciprocal": 1,
        "split": "in_domain",
    }
    for name, queries, documents in (
        ("in_domain", {"0", "1"}, {"0", "1"}),
        ("novel_query", {"10", "11"}, {"0", "1"}),
        ("novel_document", {"0", "1"}, {"100", "101"}),
        ("zero_shot", {"10", "11"}, {"100", "101"}),
    ):
        view = data.view(name)
        assert set(view.queries["query_id"]) == queries
        assert set(view.documents["doc_id"]) == documents
        assert view.judgments.height == 4
    assert any("0 queries are in neither dev nor test" in note for note in notes)
    saved = data.save(tmp_path / "out")
    assert [p for p in audit(saved) if p.severity == "error"] == []
    assert saved.fingerprint() == data.fingerprint()


def by_id(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort([c for c in ("query_id", "doc_id") if c in frame.columns]).select(
        sorted(frame.columns)
    )


def same(first: RankingDataset, second: RankingDataset, *, tables: str = "qdj") -> None:
    for table in ("queries", "documents", "judgments"):
        if table[0] in tables:
            assert by_id(getattr(first, table)).equals(by_id(getattr(second, table))), table
    assert first.score_scale == second.score_scale


def test_round_trip(tmp_path: Path) -> None:
    data, _ = read_marqo_gs(marqo_archive(tmp_path / "src"))
    notes = write_marqo_gs(data, tmp_path / "back")
    again, _ = read_marqo_gs(tmp_path / "back", bad_images="error")
    same(data, again)
    assert again.document_fields == data.document_fields
    assert [n for n in notes if "no place" in n] == []
    truth = json.loads((tmp_path / "back" / "query_0_product_id_0_gt_dev.json").read_text())
    assert truth == {"red mug, old": {"0": 100, "1": 99}}
    for score in ("score_reciprocal", "position"):
        other, _ = read_marqo_gs(tmp_path / "back", score=score)
        assert other.judgments["score"].to_list() == again.judgments[score].to_list()
    reciprocal, _ = read_marqo_gs(tmp_path / "src", score="score_reciprocal")
    write_marqo_gs(reciprocal, tmp_path / "third")
    same(reciprocal, read_marqo_gs(tmp_path / "third", score="score_reciprocal")[0])


def test_another_data_set_round_trips_but_for_what_is_noted(tmp_path: Path) -> None:
    shop = sample_shop(tmp_path / "shop", documents=60, queries=20, images=True)
    with pytest.raises(SplitError, match="rankfield split"):
        write_marqo_gs(shop, tmp_path / "out")
    data = split(shop, queries=0.5)
    notes = write_marqo_gs(data, tmp_path / "out")
    again, _ = read_marqo_gs(
        tmp_path / "out", document_fields=data.document_fields, bad_images="error"
    )
    judged = data.judgments["query_id"].unique().implode()
    kept = data.queries.filter(pl.col("query_id").is_in(judged))
    shared = ["query_id", "query", "seen", "subset"]
    assert by_id(again.queries.select(shared)).equals(by_id(kept.select(shared)))
    assert set(again.documents["doc_id"]) == set(data.documents["doc_id"])
    names = [f.name for f in data.document_fields]
    assert by_id(again.documents.select("doc_id", *names)).equals(
        by_id(data.documents.select("doc_id", *names))
    )
    pairs = ["query_id", "doc_id", "split", "score"]
    assert by_id(again.judgments.select(pairs)).equals(by_id(data.judgments.select(pairs)))
    assert any("score scale" in note for note in notes)
    with pytest.raises(OutputError, match="already exists"):
        write_marqo_gs(data, tmp_path / "out")


def test_what_stands_on_both_sides_counts_as_seen(tmp_path: Path) -> None:
    src = marqo_archive(tmp_path / "src")
    corpus = json.loads((src / "corpus_2.json").read_text())
    corpus["0"] = corpus["100"]
    (src / "corpus_2.json").write_text(json.dumps(corpus))
    moved = [{**r, "product_id": r["product_id"].replace("100", "0")} for r in marqo_rows(1, 1)]
    write_csv(src / "query_1_product_id_1.csv", moved)
    shared = {**marqo_rows(0, 0)[0], "product_id": "1", "score_linear": 7}
    write_csv(src / "query_1_product_id_0.csv", [*marqo_rows(1, 0), shared])
    data, notes = read_marqo_gs(src)
    assert data.documents.filter(doc_id="0")["seen"].to_list() == [True]
    zero_shot = data.judgments.filter(split="zero_shot")
    assert set(zero_shot["doc_id"]) == {"101"}
    assert data.judgments.filter(split="novel_query").height == 4
    assert any("2 left out of the unseen side, because their product" in n for n in notes)
    assert any("1 left out of the unseen side, because their query" in n for n in notes)


def test_ids_pictures_and_missing_parts(tmp_path: Path) -> None:
    src = marqo_archive(tmp_path / "src")
    (src / "images_wfash").rename(tmp_path / "images")
    with pytest.raises(DataError, match=r"images_wfash/0\.png' is not there.*--images"):
        read_marqo_gs(src)
    data, _ = read_marqo_gs(src, images=tmp_path / "images", bad_images="error")
    assert data.documents["image_local"][0] == "images/0.png"
    assert data.root == tmp_path
    text, _ = read_marqo_gs(src, document_fields=["title:text"])
    assert text.document_fields == (Field("title", "text"),)
    for a in (0, 1):
        for b in (0, 1):
            rows = [{**r, "query_id": 0} for r in marqo_rows(a, b)] + [
                {**marqo_rows(a, b)[0], "query_id": 1, "score_linear": 3}
            ]
            write_csv(src / f"query_{a}_product_id_{b}.csv", rows)
            for subset in ("dev", "test"):
                (src / f"query_{a}_product_id_{b}_gt_{subset}.json").unlink()
    (src / "query_1_product_id_1.csv").unlink()
    data, notes = read_marqo_gs(src, document_fields=["title:text"])
    assert set(data.queries["query_id"]) == set(data.queries["query"])
    assert data.judgments.filter(query_id="red mug, old", doc_id="0")["score"].to_list() == [100]
    assert set(data.queries["subset"]) <= {"dev", "test"}
    assert any("repeated pair" in note for note in notes)
    assert any("the text is the id" in note for note in notes)
    assert any("without query_1_product_id_1.csv" in note for note in notes)
    (tmp_path / "images" / "0.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"doc_id '0'.*not an image.*--bad-images drop"):
        read_marqo_gs(src, images=tmp_path / "images", bad_images="error")
    data, notes = read_marqo_gs(src, images=tmp_path / "images", bad_images="drop")
    assert data.documents["image_local"][0] is None


def test_another_score_has_a_guessed_scale(tmp_path: Path) -> None:
    data, _ = read_marqo_gs(marqo_archive(tmp_path / "src"), score="position")
    assert data.score_scale == ScoreScale(0, 2, 1)


def test_columns_that_json_cannot_hold(tmp_path: Path) -> None:
    data, _ = read_marqo_gs(marqo_archive(tmp_path / "src"))
    odd = data.documents.with_columns(
        code=pl.lit(b"x"),
        day=pl.date(2026, 1, 2),
        ratio=pl.when(pl.col("doc_id") == "0").then(float("nan")).otherwise(0.5),
    )
    notes = write_marqo_gs(data.with_tables(documents=odd), tmp_path / "out")
    assert "documents: the layout has no place for the bytes of code" in notes
    again, _ = read_marqo_gs(tmp_path / "out")
    first = again.documents.select("day", "ratio").rows()[:2]
    assert first == [("2026-01-02", None), ("2026-01-02", 0.5)]


@pytest.mark.parametrize("scores", [(0.0, 3.0), (0.25, 0.75), (2.0, 90.0), (-1.0, 400.0)])
@pytest.mark.parametrize("layout", ["marqo-gs", "marqo-gs-parquet"])
def test_scores_of_any_scale_come_back(
    tmp_path: Path, scores: tuple[float, float], layout: str
) -> None:
    shop = split(sample_shop(tmp_path / "shop", documents=40, queries=20, images=False))
    low, high = scores
    rows = shop.judgments.select("query_id", "doc_id", "split", score=pl.col("score") % 5)
    rows = rows.with_columns(score=low + pl.col("score") / 4 * (high - low))
    data = replace(shop, judgments=rows, score_scale=ScoreScale(low, high, high))
    LAYOUTS[layout].write(data, tmp_path / "out")
    again, _ = LAYOUTS[layout].read(tmp_path / "out", document_fields=["title:text"])
    pairs = ["query_id", "doc_id", "split", "score"]
    assert by_id(again.judgments.select(pairs)).equals(by_id(rows.select(pairs)))
