"""Folders of the library `datasets`: three tables or pairs, with the library's own as reference."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from miniatures_of_layouts import marqo_parquet, png
from rankfield.curation import split
from rankfield.errors import DataError
from rankfield.formats.hugging_face.folders import find_parts
from rankfield.formats.hugging_face.layout import (
    looks_like_hugging_face,
    read_hugging_face,
    write_hugging_face,
)
from rankfield.formats.hugging_face.writing import write_saved_dataset
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.validate import audit

ROWS = pl.DataFrame(
    {
        "query": ["red", "red", "tan", "blue"],
        "product_id": ["a", "b", "b", "a"],
        "title": ["Red mug", "Tan mug", "Tan mug", "Red mug"],
        "image": [png("red"), png("tan"), png("tan"), png("red")],
        "position": [1, 2, 1, 4],
        "score": [3.0, 1.0, 3.0, 2.0],
    }
)


def save(folder: Path, frame: pl.DataFrame) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_saved_dataset(folder, [frame.head(1), frame.slice(1)], "0")
    return folder


@pytest.mark.parametrize("lists", [False, True])
def test_three_tables_round_trip(tmp_path: Path, lists: bool) -> None:
    shop = split(sample_shop(tmp_path / "shop", documents=60, queries=20, images=True))
    image = next(f.name for f in shop.document_fields if f.modality == "image")
    if lists:
        several = pl.concat_list(image, image)
        first = pl.int_range(pl.len()) == 0
        column = pl.when(first).then(None).otherwise(several).alias(image)
        shop = shop.with_tables(documents=shop.documents.with_columns(column))
    notes = write_hugging_face(shop, tmp_path / "out")
    assert notes == [f"documents: the images of {image} are held as bytes"]
    assert looks_like_hugging_face(tmp_path / "out")
    again, _ = read_hugging_face(tmp_path / "out")
    assert again.queries.equals(shop.queries)
    assert again.judgments.equals(shop.judgments)
    assert again.documents.drop(image).equals(shop.documents.drop(image))
    held = again.documents[image][1]
    path = shop.documents[image][1]
    assert (
        list(held) == [(shop.root / p).read_bytes() for p in path]
        if lists
        else (held == (shop.root / path).read_bytes())
    )
    assert again.document_fields == shop.document_fields
    assert again.query_fields == shop.query_fields
    assert again.score_scale == shop.score_scale
    saved = again.save(tmp_path / "saved")
    assert [p for p in audit(saved) if p.severity == "error"] == []
    write_hugging_face(saved, tmp_path / "back")
    assert read_hugging_face(tmp_path / "back")[0].fingerprint() == saved.fingerprint()
    (tmp_path / "out" / "dataset.toml").unlink()
    guessed, notes = read_hugging_face(tmp_path / "out")
    assert guessed.judgments["score"].equals(shop.judgments["score"])
    assert any("fields" in note for note in notes)


def test_pairs(tmp_path: Path) -> None:
    src = save(tmp_path / "mugs", ROWS)
    data, notes = read_hugging_face(src, bad_images="error")
    assert data.name == "mugs"
    assert data.queries.rows() == [("q0", "red"), ("q1", "tan"), ("q2", "blue")]
    assert data.documents.rows() == [("a", "Red mug", png("red")), ("b", "Tan mug", png("tan"))]
    assert data.judgments.rows() == [
        ("q0", "a", 3.0, 1),
        ("q0", "b", 1.0, 2),
        ("q1", "b", 3.0, 1),
        ("q2", "a", 2.0, 4),
    ]
    assert data.document_fields == (Field("title", "text", 0.5), Field("image", "image", 0.5))
    assert data.score_scale == ScoreScale(0, 3, 1)
    assert "pairs: column 'query' is the query, 'score' the score" in notes
    plain = ROWS.drop("product_id").rename({"query": "ask", "score": "grade"})
    src = save(tmp_path / "plain", plain.drop("position"))
    data, notes = read_hugging_face(src, query="ask", score_max=5, relevant=2)
    assert data.judgments["doc_id"].to_list() == ["d0", "d1", "d1", "d0"]
    assert data.score_scale == ScoreScale(0, 5, 2)
    assert any("no id" in note for note in notes)
    saved = data.save(tmp_path / "out")
    assert [p for p in audit(saved) if p.severity == "error"] == []


def deviating(folder: Path) -> Path:
    """Write pairs of five products, one row of which spells its title in another way."""
    rows = [
        {
            "query": f"query {q}",
            "product_id": f"p{d}",
            "title": f"Mug {d}" + ("!" if (q, d) == (3, 2) else ""),
            "brand": None if q == 0 else f"Brand {d}",
            "reason": f"because of {q} and {d}",
            "position": d + 1,
            "price": 5.0 + q,
            "score": float(d % 3),
        }
        for q in range(4)
        for d in range(5)
    ]
    folder.mkdir()
    pl.DataFrame(rows).write_parquet(folder / "train-00000-of-00001.parquet")
    return folder


def test_one_deviating_row_takes_no_field_away(tmp_path: Path) -> None:
    data, notes = read_hugging_face(deviating(tmp_path / "src"))
    assert data.documents.columns == ["doc_id", "title", "brand", "position"]
    assert data.documents["title"].to_list() == [f"Mug {d}" for d in range(5)]
    assert data.documents["brand"].to_list() == [f"Brand {d}" for d in range(5)]
    assert [f.name for f in data.document_fields] == ["title", "brand"]
    assert data.judgments.columns == ["query_id", "doc_id", "score", "reason", "price"]
    (note,) = (note for note in notes if "'title' differs" in note)
    assert "1 of them" in note
    assert "'p2'" in note
    assert "row 17 (counted from 0)" in note
    assert any("reason, price differ between the rows of one document" in note for note in notes)


def test_a_column_chosen_as_field_belongs_to_the_documents(tmp_path: Path) -> None:
    src = deviating(tmp_path / "src")
    data, notes = read_hugging_face(src, document_fields=["reason:text"])
    assert data.documents["reason"].to_list() == [f"because of 0 and {d}" for d in range(5)]
    assert any("'reason' differs between the rows of 5 of them" in note for note in notes)


def hub_folder(folder: Path, *, queries: str = "queries", corpus: str = "corpus") -> Path:
    """Write the shards of the three tables in folders, as data sets on the Hub have them."""
    tables = {
        f"queries/{queries}": pl.DataFrame({"_id": ["q1", "q2"], "text": ["red mug", "oak desk"]}),
        f"corpus/{corpus}": pl.DataFrame({"_id": ["d1", "d2"], "text": ["Red mug", "Oak desk"]}),
        "qrels/train": pl.DataFrame({"query-id": ["q1"], "corpus-id": ["d1"], "score": [1]}),
        "qrels/test": pl.DataFrame({"query-id": ["q2"], "corpus-id": ["d2"], "score": [1]}),
    }
    for name, frame in tables.items():
        path = folder / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
    return folder


@pytest.mark.parametrize("shard", ["queries", "test"])
def test_folders_of_shards_are_tables(tmp_path: Path, shard: str) -> None:
    corpus = "corpus" if shard == "queries" else shard
    data, _ = read_hugging_face(hub_folder(tmp_path / "hub", queries=shard, corpus=corpus))
    assert data.documents["doc_id"].to_list() == ["d1", "d2"]
    assert data.judgments.select("query_id", "doc_id", "split").rows() == [
        ("q2", "d2", "novel_query"),
        ("q1", "d1", "in_domain"),
    ]
    assert dict(data.queries.select("query_id", "subset").rows())["q2"] == "test"


def test_judgments_of_one_published_split_say_so(tmp_path: Path) -> None:
    src = hub_folder(tmp_path / "hub")
    (src / "qrels" / "train-00000-of-00001.parquet").unlink()
    data, _ = read_hugging_face(src)
    assert data.judgments.select("query_id", "source_split").rows() == [("q2", "test")]
    (src / "qrels").rename(src / "default")  # as data sets of MTEB have them
    again, _ = read_hugging_face(src)
    assert again.judgments.equals(data.judgments)


def test_a_record_in_two_splits_of_its_table_counts_once(tmp_path: Path) -> None:
    src = hub_folder(tmp_path / "hub")
    shard = src / "corpus" / "corpus-00000-of-00001.parquet"
    (src / "corpus" / "test-00000-of-00001.parquet").write_bytes(shard.read_bytes())
    assert read_hugging_face(src)[0].documents["doc_id"].to_list() == ["d1", "d2"]


def test_splits_by_queries_are_kept(tmp_path: Path) -> None:
    for part, rows in (("train", ROWS.head(2)), ("validation", ROWS[2:3]), ("test", ROWS[3:])):
        save(tmp_path / "d" / part, rows)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    data, _ = read_hugging_face(tmp_path / "d")
    assert data.queries.select("query", "seen").rows() == [
        ("red", True),
        ("tan", False),
        ("blue", False),
    ]
    assert data.queries["subset"].to_list()[1:] == ["dev", "test"]
    assert data.judgments["split"].to_list() == ["in_domain"] * 2 + ["novel_query"] * 2
    assert data.view("novel_query", "test").queries["query"].to_list() == ["blue"]
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    for name in ("train-00000-of-00001", "test-00000-of-00001"):
        ROWS.drop("image").write_parquet(hub / f"{name}.parquet")
    with pytest.raises(DataError, match="judged more than once"):
        read_hugging_face(tmp_path / "hub")
    with pytest.raises(DataError, match=r"those of Marqo-GS.*marqo-gs-parquet"):
        read_hugging_face(marqo_parquet(tmp_path / "gs"))


def test_where_files_are_found(tmp_path: Path) -> None:
    def touch(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    a = [touch(f"a/data/train-0000{i}-of-00002-0123abcd.parquet") for i in range(2)]
    assert find_parts(tmp_path / "a") == {"train": a}
    b = [touch("b/default/novel_query/0000.parquet"), touch("b/default/novel_query/0001.parquet")]
    assert find_parts(tmp_path / "b") == {"novel_query": b}
    c = [touch(f"c/novel-query/novel-query-{i}.parquet") for i in (2, 10)]
    assert find_parts(tmp_path / "c") == {"novel_query": c}
    d = touch("d/data/0000.csv")
    assert find_parts(tmp_path / "d") == {"train": [d]}
    e = touch("e/validation.jsonl")
    touch("e/.cache/x.jsonl")
    assert find_parts(tmp_path / "e") == find_parts(e) == {"dev": [e]}
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file there ends in"):
        find_parts(tmp_path / "empty")
    with pytest.raises(DataError, match="no such file or folder"):
        find_parts(tmp_path / "nowhere")


def test_the_library_and_rankfield_read_each_other(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    shop = sample_shop(tmp_path / "shop", documents=60, queries=20, images=True)
    odd = {"day": pl.date(2026, 1, 2), "size": pl.struct(width=pl.lit(1), height=pl.lit(2.5))}
    shop = shop.with_tables(documents=shop.documents.with_columns(**odd))
    write_hugging_face(shop, tmp_path / "out")
    documents = datasets.load_from_disk(str(tmp_path / "out" / "documents"))
    assert documents.num_rows == 60
    image = next(f.name for f in shop.document_fields if f.modality == "image")
    assert documents[0][image].size[0] > 1
    assert documents[0]["size"] == {"width": 1, "height": 2.5}
    assert str(documents[0]["day"]) == "2026-01-02"
    assert documents[0]["doc_id"] == shop.documents["doc_id"][0]
    labels = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features(
        {
            "query": datasets.Value("string"),
            "title": datasets.Value("string"),
            "photos": datasets.List(datasets.Image()),
            "quality": labels,
            "score": datasets.Value("float32"),
        }
    )
    rows = {
        "query": ["red", "tan"],
        "title": ["Red mug", "Tan mug"],
        "photos": [[{"bytes": png("red"), "path": None}] * 2, []],
        "quality": ["good", "bad"],
        "score": [1.0, 0.5],
    }
    made = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "lib"))
    data, _ = read_hugging_face(tmp_path / "lib")
    assert data.documents["photos"].to_list() == [[png("red")] * 2, []]
    assert data.documents["quality"].to_list() == ["good", "bad"]
    made.to_parquet(str(tmp_path / "train.parquet"))
    again, _ = read_hugging_face(tmp_path / "train.parquet")
    assert again.documents.equals(data.documents)
    assert isinstance(again, RankingDataset)


def test_a_state_that_names_a_file_that_none_can_be(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", ROWS)
    state = folder / "state.json"
    state.write_text(state.read_text().replace("data-0", "data-" + "0" * 5000))
    with pytest.raises(DataError, match="which is not there"):
        find_parts(folder)
