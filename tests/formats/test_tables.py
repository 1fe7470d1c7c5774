"""Importing plain tables: round trips, guesses, and every bad input named by file and row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.errors import DataError, ImageError, OutputError
from rankfield.formats import import_tables, read_tables
from rankfield.schema import Field, RankingDataset, ScoreScale

QUERIES = [
    {"query_id": f"q{i}", "query": f"{colour} mug"} for i, colour in enumerate(["red", "tan"])
]
DOCUMENTS = [
    {
        "doc_id": f"00{i}",
        "title": f"A {colour} mug",
        "details": f"made of {colour} clay",
        "image": f"images/{i}.png",
        "price": f"{i}.5",
        "style_id": f"MH0{i}",
        "source_split": "train",
    }
    for i, colour in enumerate(["red", "tan", "blue"])
]
JUDGMENTS = [
    {"query_id": "q0", "doc_id": "000", "score": "3"},
    {"query_id": "q0", "doc_id": "001", "score": "0.5"},
    {"query_id": "q1", "doc_id": "001", "score": "3"},
    {"query_id": "q1", "doc_id": "002", "score": "1e0"},
]
Rows = list[dict[str, str]]


def write(folder: Path, ending: str = "csv", **tables: Rows) -> Path:
    """Write the three tables, or those given in their place, and three pictures."""
    (folder / "images").mkdir(parents=True)
    for i, colour in enumerate(["red", "tan", "blue"]):
        Image.new("RGB", (8, 8), colour).save(folder / "images" / f"{i}.png")
    given = {"queries": QUERIES, "documents": DOCUMENTS, "judgments": JUDGMENTS} | tables
    for name, rows in given.items():
        frame = pl.DataFrame(rows)
        path = folder / f"{name}.{ending}"
        if ending == "parquet":
            frame.write_parquet(path)
        elif ending == "csv":
            frame.write_csv(path)
        elif ending == "tsv":
            frame.write_csv(path, separator="\t")
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def changed(rows: Rows, row: int, column: str, value: str) -> Rows:
    return [{**r, column: value} if i == row else r for i, r in enumerate(rows)]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ndjson", "parquet"])
def test_each_format_gives_the_same_data_set(tmp_path: Path, ending: str) -> None:
    data, notes = import_tables(write(tmp_path / "shop", ending), tmp_path / "out", licence="CC0")
    assert data.name == "shop"
    assert data.provenance.licence == "CC0"
    assert data.query_fields == (Field("query", "text"),)
    assert data.document_fields == (
        Field("title", "text", 0.25),
        Field("details", "text", 0.25),
        Field("image", "image", 0.5),
    )
    assert data.score_scale == ScoreScale(0, 3, 0.5)
    assert data.documents["doc_id"].to_list() == ["000", "001", "002"]
    assert data.documents["price"].to_list() == [0.5, 1.5, 2.5]
    assert data.documents["style_id"].to_list() == ["MH00", "MH01", "MH02"]
    assert data.judgments["score"].to_list() == [3, 0.5, 3, 1]
    assert (tmp_path / "out" / "images" / "2.png").is_file()
    assert RankingDataset.load(tmp_path / "out").judgments.equals(data.judgments)
    assert any("details (text, weight 0.25)" in note for note in notes)
    assert any("not fields: price, style_id, source_split" in note for note in notes)
    assert any("relevant from 0.5" in note for note in notes)


def test_other_names_are_found_or_given(tmp_path: Path) -> None:
    renamed = [
        {"qid": r["query_id"], "doc_id": r["doc_id"], "grade": r["score"]} for r in JUDGMENTS
    ]
    src = write(
        tmp_path / "shop",
        judgments=renamed,
        queries=[{"_id": r["query_id"], "query": r["query"], "answer": "mug 1"} for r in QUERIES],
        documents=[{"id": r["doc_id"], "title": r["title"], "split": "x"} for r in DOCUMENTS],
    )
    data, notes = read_tables(src)
    assert data.queries.columns == ["query_id", "query", "answer"]
    assert data.query_fields == (Field("query", "text"),)
    assert data.documents.columns == ["doc_id", "title", "split"]
    assert "judgments: column 'grade' is the score" in notes
    assert "queries: column '_id' is the query_id" in notes
    assert read_tables(src, query_id="qid", score="grade")[0].judgments.equals(data.judgments)


def test_reserved_columns_get_another_name(tmp_path: Path) -> None:
    rows = [{**r, "split": "zero_shot", "source_split": "x"} for r in JUDGMENTS]
    data, notes = read_tables(write(tmp_path / "shop", judgments=rows))
    assert not data.is_split
    assert data.judgments["source_source_split"].unique().to_list() == ["zero_shot"]
    assert "judgments: column 'split' is kept as 'source_source_split'" in notes


def test_fields_and_scale_are_chosen(tmp_path: Path) -> None:
    src = write(tmp_path / "shop")
    data, _ = read_tables(
        src,
        document_fields=["title:text:0.1", Field("image", "image", 0.9)],
        relevant=2,
        score_max=5,
        name="mugs",
    )
    assert data.document_fields == (Field("title", "text", 0.1), Field("image", "image", 0.9))
    assert data.score_scale == ScoreScale(0, 5, 2)
    assert data.name == "mugs"
    data, _ = read_tables(src, document_fields=["image", "title"], score_scale=ScoreScale(0, 9, 3))
    assert data.document_fields == (Field("image", "image", 0.5), Field("title", "text", 0.5))
    assert data.score_scale == ScoreScale(0, 9, 3)


def test_files_of_other_names(tmp_path: Path) -> None:
    src = write(tmp_path / "shop")
    (src / "judgments.csv").rename(src / "clicks.csv")
    with pytest.raises(DataError, match=r"expected one of judgments.*found .*clicks\.csv"):
        read_tables(src)
    assert read_tables(src, judgments_file=src / "clicks.csv")[0].judgments.height == 4
    (src / "documents.tsv").write_text("doc_id\ttitle\n1\ta\n")
    with pytest.raises(DataError, match=r"found documents\.csv, documents\.tsv.*--documents"):
        read_tables(src, judgments_file=src / "clicks.csv")


def test_nested_columns_are_no_fields(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "parquet")
    frame = pl.read_parquet(src / "documents.parquet")
    nested = frame.with_columns(tags=pl.concat_list("title", "details"))
    nested.write_parquet(src / "documents.parquet")
    assert read_tables(src)[0].documents["tags"].dtype == pl.List(pl.String)
    with pytest.raises(DataError, match=r"column 'tags': expected text or the bytes .*List"):
        read_tables(src, document_fields=["tags"])


def test_pictures_as_bytes(tmp_path: Path) -> None:
    src = write(tmp_path / "shop", "parquet")
    frame = pl.read_parquet(src / "documents.parquet")
    data = [(src / name).read_bytes() for name in frame["image"]]
    frame.with_columns(image=pl.Series(data)).write_parquet(src / "documents.parquet")
    done, _ = import_tables(src, tmp_path / "out")
    assert done.documents["image"].to_list() == data
    assert not (tmp_path / "out" / "images").exists()


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        (
            "judgments",
            changed(JUDGMENTS, 2, "score", "abc"),
            r"judgments\.csv, row 4, column 'score': expected a finite number, found 'abc'",
        ),
        ("judgments", changed(JUDGMENTS, 0, "score", "NaN"), r"row 2.*finite number, found 'NaN'"),
        ("judgments", changed(JUDGMENTS, 3, "score", "-inf"), r"row 5.*found '-inf'"),
        ("judgments", changed(JUDGMENTS, 3, "score", "1e999"), r"row 5.*found '1e999'"),
        ("judgments", changed(JUDGMENTS, 3, "score", "1,5"), r"row 5.*found '1,5'"),
        ("judgments", changed(JUDGMENTS, 3, "score", ""), r"row 5.*found nothing"),
        (
            "judgments",
            [{**r, "score": "x"} for r in JUDGMENTS],
            r"row 2.*found 'x' \(and 3 more rows\)",
        ),
        (
            "judgments",
            changed(JUDGMENTS, 1, "doc_id", "1"),
            r"judgments\.csv, row 3, column 'doc_id': '1' is not among the documents",
        ),
        (
            "judgments",
            changed(JUDGMENTS, 1, "query_id", "Q0"),
            r"row 3.*'Q0' is not among the queri",
        ),
        (
            "judgments",
            changed(JUDGMENTS, 1, "query_id", ""),
            r"row 3.*expected an id, found nothing",
        ),
        ("judgments", changed(JUDGMENTS, 1, "doc_id", "000"), r"row 3.*'000' is judged more than"),
        (
            "documents",
            changed(DOCUMENTS, 1, "doc_id", "000"),
            r"documents\.csv, row 3, column 'doc_id': the id '000' occurs more than once",
        ),
        ("queries", changed(QUERIES, 1, "query_id", ""), r"queries\.csv, row 3.*expected an id"),
        (
            "judgments",
            [{"query_id": "q0", "doc_id": "000", "scores": "1"}],
            r"judgments\.csv: expected a column 'score', found 'query_id', 'doc_id', 'scores'"
            r".*Did you mean 'scores'\? Choose the column with --score",
        ),
        (
            "judgments",
            [{"asked": "q0", "doc_id": "000", "score": "1"}],
            r"expected a column 'query_id'.*--query-id",
        ),
        (
            "documents",
            [{"doc_id": r["doc_id"], "price": "1", "url": "http://x/a.png"} for r in DOCUMENTS],
            r"documents\.csv: no column looks like a text or an image.*--document-field",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, table: str, rows: Rows, message: str) -> None:
    src = write(tmp_path / "shop", "csv", **{table: rows})
    with pytest.raises(DataError, match=message):
        import_tables(src, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"document_fields": ["titel"]}, r"no column 'titel'.*Did you mean 'title'"),
        ({"document_fields": ["title:text:heavy"]}, r"number as weight, found 'title:text:heavy'"),
        ({"document_fields": ["title:text:1", "image"]}, r"a weight for every field or for none"),
        ({"score_max": 2.0}, r"judgments\.csv, row 2, column 'score': 3.0 is outside.* 0 to 2"),
        ({"query_id": "qid"}, r"expected a column 'qid', found 'query_id'"),
    ],
)
def test_bad_choices(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_tables(write(tmp_path / "shop"), **options)  # type: ignore[arg-type]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:48])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "no such image"),
        (truncate, "truncated|cannot be"),
        (lambda path: path.write_text("text"), "not an image"),
    ],
)
def test_bad_pictures_stop_or_are_dropped(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    bare = [{**r, "title": "", "details": ""} if r["doc_id"] == "002" else r for r in DOCUMENTS]
    src = write(tmp_path / "shop", documents=bare)
    spoil(src / "images" / "1.png")
    spoil(src / "images" / "2.png")
    with pytest.raises(ImageError, match=message) as caught:
        import_tables(src, tmp_path / "out")
    text = str(caught.value)
    assert "documents.csv, row 3, column 'image': images/1.png: " in text
    assert "(and 1 more bad image)" in text
    assert "--bad-images drop" in text
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    data, notes = import_tables(src, tmp_path / "out", bad_images="drop")
    assert data.documents["image"].to_list() == ["images/0.png", None]
    assert data.judgments.height == 3
    assert "documents, image: cleared 2 bad image(s)" in notes
    assert any("documents" in note and "dropped 1 row(s)" in note for note in notes)


def test_what_exists_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        import_tables(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DataError, match="no such folder"):
        import_tables(tmp_path / "nowhere", tmp_path / "out2")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a folder, found a file"):
        read_tables(tmp_path / "file")


def test_a_broken_page_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """The footer of a Parquet file is whole, the pages of a plain column are not."""
    src = write(tmp_path / "shop", "parquet")
    path = src / "documents.parquet"
    rows = pl.DataFrame(DOCUMENTS).with_columns(zz=pl.Series([b"\x01" * 5000] * 3))
    rows.write_parquet(path, compression="uncompressed", use_pyarrow=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"\x01" * 5000)
    data[start - 40 : start] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"documents\.parquet: cannot be read, it may be cut off"):
        import_tables(src, tmp_path / "out", document_fields=["title"], bad_images="ignore")
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]
