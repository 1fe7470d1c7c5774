"""sentence-transformers' pairs, triplets, n-tuples, scored pairs and labelled lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from miniatures_of_layouts import png
from rankfield.curation import split
from rankfield.errors import DataError
from rankfield.formats.sentence_transformers.reading import (
    looks_like_sentence_transformers,
    read_sentence_transformers,
    write_sentence_transformers,
)
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.validate import audit


def write(path: Path, frame: pl.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)
    return path


def texts(data: RankingDataset) -> list[tuple[Any, ...]]:
    """Return query, document and score of each judgment."""
    rows = data.judgments.join(data.queries, on="query_id", maintain_order="left")
    rows = rows.join(data.documents, on="doc_id", maintain_order="left")
    return rows.select("query", "document", "score").rows()


PAIRS = pl.DataFrame({"anchor": ["red", "tan", "red"], "positive": ["Red mug", "Tan mug", "Rouge"]})


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_pairs(tmp_path: Path, ending: str) -> None:
    src = write(tmp_path / f"mugs.{ending}", PAIRS)
    assert looks_like_sentence_transformers(src)
    data, notes = read_sentence_transformers(src)
    assert data.name == "mugs"
    assert texts(data) == [(q, d, 1.0) for q, d in PAIRS.rows()]
    assert data.score_scale == ScoreScale(0, 1, 1, "1 = positive, 0 = negative")
    assert data.queries.rows() == [("q0", "red"), ("q1", "tan")]
    assert data.query_fields == (Field("query", "text"),)
    assert not data.is_split
    assert "columns: 'anchor' is the query, 'positive' the documents" in notes
    saved = data.save(tmp_path / "out")
    assert [p for p in audit(saved) if p.severity == "error"] == []


def test_triplets_and_tuples(tmp_path: Path) -> None:
    triplets = PAIRS.with_columns(negative=pl.Series(["Tan mug", "Red mug", None]))
    data, _ = read_sentence_transformers(write(tmp_path / "t.parquet", triplets))
    assert sorted(texts(data)) == [
        ("red", "Red mug", 1.0),
        ("red", "Rouge", 1.0),
        ("red", "Tan mug", 0.0),
        ("tan", "Red mug", 0.0),
        ("tan", "Tan mug", 1.0),
    ]
    several = pl.DataFrame(
        {
            "query": ["red"],
            "answer": ["Red mug"],
            "negative_1": ["Tan mug"],
            "negative_2": ["Red mug"],
            "score": [[0.9, 0.2, 0.1]],
        }
    )
    src = write(tmp_path / "n.parquet", several)
    data, notes = read_sentence_transformers(src)
    assert texts(data) == [("red", "Red mug", 0.9), ("red", "Tan mug", 0.2)]
    assert data.score_scale == ScoreScale(0, 1, 0.5, "label of sentence-transformers")
    assert any("1 repeated pair" in note for note in notes)
    margins = several.with_columns(score=pl.lit(0.7))
    data, notes = read_sentence_transformers(write(tmp_path / "m.parquet", margins))
    assert [score for _, _, score in texts(data)] == [1.0, 0.0]
    assert any("margin" in note for note in notes)


def test_scored_pairs_and_lists(tmp_path: Path) -> None:
    scored = pl.DataFrame(
        {"score": [0.1, 0.5], "sentence1": ["red", "red"], "sentence2": ["Tan mug", "Rouge"]}
    )
    data, _ = read_sentence_transformers(write(tmp_path / "s.csv", scored))
    assert texts(data) == [("red", "Tan mug", 0.1), ("red", "Rouge", 0.5)]
    grades = scored.with_columns(score=pl.Series([0, 5]))
    data, _ = read_sentence_transformers(write(tmp_path / "g.parquet", grades), score_max=6)
    assert data.score_scale == ScoreScale(0, 6, 3, "label of sentence-transformers")
    cosines = scored.with_columns(score=pl.Series([-1.0, 0.5]))
    data, _ = read_sentence_transformers(write(tmp_path / "c.parquet", cosines), score_max=1)
    meaning = "label of sentence-transformers"
    assert data.score_scale == ScoreScale(-1, 1, 0.5, meaning, gain_floor=0)
    nothing = scored.with_columns(score=pl.Series([-2.0, -1.0]))
    data, _ = read_sentence_transformers(write(tmp_path / "n.parquet", nothing))
    assert data.score_scale == ScoreScale(-2, 0, 1, meaning, gain_floor=0)
    labels = scored.select(label=pl.Series([0, 1]), a="sentence1", b="sentence2", other="sentence1")
    src = write(tmp_path / "l.parquet", labels)
    data, _ = read_sentence_transformers(src, columns=["a", "b"])
    assert data.score_scale.relevant == 1
    lists = pl.DataFrame({"query": ["red"], "docs": [["Red mug", "Tan mug"]], "labels": [[1, 0]]})
    data, _ = read_sentence_transformers(write(tmp_path / "ll.parquet", lists))
    assert texts(data) == [("red", "Red mug", 1.0), ("red", "Tan mug", 0.0)]


def test_pictures(tmp_path: Path) -> None:
    frame = pl.DataFrame({"query": ["red", "tan"], "image": [png("red"), png("tan")]})
    src = write(tmp_path / "p.parquet", frame)
    data, _ = read_sentence_transformers(src, bad_images="error")
    assert data.document_fields == (Field("document", "image"),)
    assert texts(data) == [("red", png("red"), 1.0), ("tan", png("tan"), 1.0)]


def test_files_of_train_and_test_are_splits(tmp_path: Path) -> None:
    for part, query in (("train", "red"), ("train-2", "tan"), ("validation", "x"), ("test", "y")):
        write(tmp_path / "a" / f"{part}.csv", PAIRS.head(1).with_columns(anchor=pl.lit(query)))
    data, notes = read_sentence_transformers(tmp_path / "a")
    assert (
        data.judgments["split"].to_list()
        == ["novel_query"] * 1 + ["in_domain"] * 2 + ["novel_query"]
        or sorted(data.judgments["split"]) == ["in_domain"] * 2 + ["novel_query"] * 2
    )
    by_text = dict(data.queries.select("query", "subset").rows())
    assert (by_text["x"], by_text["y"]) == ("dev", "test")
    assert data.documents["seen"].all()
    assert any("one corpus" in note for note in notes)
    write(tmp_path / "b" / "train.csv", PAIRS)
    write(tmp_path / "b" / "test.csv", PAIRS.with_columns(positive=pl.lit("Mug")))
    data, notes = read_sentence_transformers(tmp_path / "b")
    assert not data.is_split
    assert set(data.judgments["source_split"]) == {"train", "test"}
    assert any("rankfield split" in note for note in notes)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_round_trip(tmp_path: Path, ending: Any) -> None:
    data, _ = read_sentence_transformers(write(tmp_path / "src.parquet", PAIRS))
    write_sentence_transformers(data, tmp_path / "pairs", kind="pairs", ending=ending)
    again, _ = read_sentence_transformers(tmp_path / "pairs", name=data.name)
    for table in ("queries", "documents", "judgments"):
        assert getattr(again, table).equals(getattr(data, table))
    assert again.score_scale == data.score_scale
    shop = sample_shop(tmp_path / "shop", documents=60, queries=20, images=False)
    notes = write_sentence_transformers(shop, tmp_path / "s", rescale=False, ending=ending)
    assert any("ids" in note for note in notes)
    again, _ = read_sentence_transformers(tmp_path / "s")
    titles = shop.judgments.join(shop.queries, on="query_id", maintain_order="left")
    titles = titles.join(shop.documents, on="doc_id", maintain_order="left")
    names = [f.name for f in shop.document_fields if f.modality == "text"]
    whole = titles.select("query", pl.concat_str(names, separator=" "), "score")
    expected = whole.group_by(whole.columns[:2]).agg(pl.col("score").max())
    assert sorted(texts(again)) == sorted(expected.rows())


def test_triplets_round_trip(tmp_path: Path) -> None:
    shop = split(sample_shop(tmp_path / "shop", documents=60, queries=20, images=False))
    middle = (shop.score_scale.minimum + shop.score_scale.maximum) / 2
    for count in (1, 3):
        out = tmp_path / f"t{count}"
        notes = write_sentence_transformers(
            shop, out, kind="triplets", negatives=count, relevant=middle
        )
        frame = pl.read_parquet(out / "train.parquet")
        expected = ["negative"] if count == 1 else ["negative_1", "negative_2", "negative_3"]
        assert frame.columns == ["anchor", "positive", *expected]
        assert frame.null_count().sum_horizontal().item() == 0
        assert any("left out, of novel_document" in note for note in notes)
        again, _ = read_sentence_transformers(out)
        assert again.is_split
        judged = {
            (query, title): score
            for query, title, score in shop.judgments.join(shop.queries, on="query_id")
            .join(shop.documents, on="doc_id")
            .select("query", "title", "score")
            .rows()
        }
        assert frame.height > 0
        for row in frame.iter_rows():
            assert judged[row[0], row[1]] >= middle
            assert all(judged[row[0], negative] < middle for negative in row[2:])
    with pytest.raises(DataError, match=r"no judgment would be among.*relevant=SCORE"):
        write_sentence_transformers(shop, tmp_path / "none", kind="triplets", relevant=-1)
    with pytest.raises(DataError, match="at least 1"):
        write_sentence_transformers(shop, tmp_path / "none", kind="triplets", negatives=0)
    assert not (tmp_path / "none").exists()


def test_the_library_trains_on_what_is_written(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data, _ = read_sentence_transformers(write(tmp_path / "src.parquet", PAIRS))
    write_sentence_transformers(data, tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].column_names == ["sentence1", "sentence2", "score"]
    assert loaded["train"][0] == {"sentence1": "red", "sentence2": "Red mug", "score": 1.0}
    loaded.save_to_disk(str(tmp_path / "saved"))
    again, _ = read_sentence_transformers(tmp_path / "saved")
    assert texts(again) == texts(data)


def test_input_examples(tmp_path: Path) -> None:
    lines = [
        {"guid": "a", "texts": ["red mug", "a red mug"], "label": 0.75},
        {"guid": "b", "texts": ["red mug", "a blue mug"], "label": 0.25},
    ]
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    dataset, _ = read_sentence_transformers(path)
    assert dataset.queries.height == 1
    assert dataset.judgments["score"].to_list() == [0.75, 0.25]
    pairs = [{**line, "label": 0} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in pairs), "utf-8")
    dataset, notes = read_sentence_transformers(path)
    assert dataset.judgments["score"].to_list() == [1.0, 1.0]
    assert any("labels are left out" in note for note in notes)
    path.write_text(path.read_text("utf-8") + '{"guid": "c", "texts": ["mug"], "label": 0}\n')
    with pytest.raises(DataError, match=r"expected 2 texts, as in the first example"):
        read_sentence_transformers(path)
