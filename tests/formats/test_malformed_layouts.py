"""Malformed files of every layout: each ends in an error with file, row and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from miniatures_of_layouts import esci, marqo_archive, marqo_parquet, png
from rankfield.errors import DataError
from rankfield.formats.esci.reading import read_esci
from rankfield.formats.hugging_face.layout import read_hugging_face
from rankfield.formats.hugging_face.writing import write_saved_dataset
from rankfield.formats.marqo_gs.archive import read_marqo_gs
from rankfield.formats.marqo_gs.parquet import read_marqo_gs_parquet
from rankfield.formats.sentence_transformers.reading import read_sentence_transformers
from rankfield.formats.tables.reading import read_tables

Spoil = Callable[[Path], object]

CSV = "query_0_product_id_1.csv"
PARQUET = "data/novel_query-00001-of-00002.parquet"
EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"
SOURCES = "shopping_queries_dataset_sources.csv"
ARROW = "data-00000-of-00001.arrow"


def replaced(old: str | bytes, new: str | bytes) -> Spoil:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        a, b = (s.encode() if isinstance(s, str) else s for s in (old, new))
        assert a in data
        path.write_bytes(data.replace(a, b, 1))

    return spoil


def cut(share: float) -> Spoil:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def content(data: bytes) -> Spoil:
    return lambda path: path.write_bytes(data)


def altered(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    return lambda path: change(pl.read_parquet(path)).write_parquet(path)


def cell(column: str, row: int, value: Any) -> Spoil:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        values[row] = value
        dtype = pl.Float64 if isinstance(value, float) else frame.schema[column]
        return frame.with_columns(pl.Series(column, values, dtype=dtype, strict=False))

    return altered(change)


def without(column: str) -> Spoil:
    return altered(lambda frame: frame.drop(column))


def twice(column: str) -> Spoil:
    """Write a column a second time, as polars never does."""

    def spoil(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = parquet.read_table(path)
        names = [*table.column_names, column]
        parquet.write_table(pa.table([*table.columns, table[column]], names=names), path)

    return spoil


def not_utf8(column: str, row: int) -> Spoil:
    """Write a text that is not UTF-8, which pyarrow does without looking."""

    def spoil(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = parquet.read_table(path)
        values = [str(v).encode() for v in table[column].to_pylist()]
        values[row] = b"caf\xe9"
        texts = pa.array(values, pa.binary()).view(pa.string())
        place = table.column_names.index(column)
        parquet.write_table(table.set_column(place, column, texts), path)

    return spoil


def header(path: Path) -> None:
    lines = path.read_text("utf-8").split("\n")
    path.write_text("\n".join([lines[0].replace('"title"', '"query"'), *lines[1:]]), "utf-8")


def semicolons(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace('","', '";"'), "utf-8")


def fails(read: Callable[..., Any], src: Path, file: str, spoil: Spoil, message: str) -> None:
    """Check that reading `src` with the file spoilt names the file, the problem and a remedy."""
    spoil(src / file)
    with pytest.raises(DataError, match=message) as caught:
        read(src)
    assert Path(file).name in str(caught.value)
    assert caught.value.where.startswith(str(src))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        (CSV, semicolons, r"delimited by semicolons.*as \.csv"),
        (CSV, replaced("tan mug", b"tan m\xfcg"), r"row 4: not UTF-8: byte 0xfc.*Save"),
        (CSV, replaced('"score_linear"', '"score"'), r"a column 'score_linear', found 'query'"),
        (CSV, header, r"row 1: the column 'query' occurs more than once"),
        (CSV, replaced('"100","1.0"', '"1e400","1.0"'), r"row 2, column 'score_linear'.*'1e400'"),
        (CSV, replaced('"99","0.5"', '"nan","0.5"'), r"row 3, column 'score_linear'.*'nan'"),
        (CSV, replaced('"99","0.5"', '"-inf","0.5"'), r"row 3.*finite number, found '-inf'"),
        (CSV, replaced('"99","0.5"', '"990","0.5"'), r"row 3.*990 is outside the scale, 1 to 100"),
        (CSV, replaced('"99","0.5"', '"","0.5"'), r"row 3.*finite number, found nothing"),
        (CSV, replaced("red mug, old", ""), r"row 2, column 'query': expected a value"),
        (CSV, replaced('"red mug, old"', '"red mug, old'), r"row 2: (malformed|a quote is opened)"),
        (CSV, replaced('"red mug, old"', '"red mug, old","x"'), r"row 2: expected 9 values.*10"),
        (CSV, replaced('"100","1"', '"777","1"'), r"row 2.*'777' is not among the products of"),
        (CSV, cut(0.7), r"row \d+: (expected 9 values|a quote is opened)"),
        (CSV, content(b""), r"the file is empty"),
        ("corpus_2.json", cut(0.6), r"row 1: not valid JSON.*cut off"),
        ("corpus_2.json", content(b"[1]"), r"row 1: not valid JSON \(expected '\{', found '\['"),
        ("corpus_2.json", content(b"{}"), r"expected at least one product"),
        ("corpus_2.json", replaced("red", b"r\xe9d"), r"row 1: not UTF-8: byte 0xe9"),
        ("corpus_2.json", replaced('"101"', '"100"'), r"'100' occurs more than once"),
        ("corpus_2.json", replaced("tan", "\\ud800"), r"surrogate"),
        ("corpus_2.json", content(b'{"100": "mug"}'), r"key '100': expected an object"),
        ("corpus_1.json", Path.unlink, r"there is no such file"),
        ("query_0_product_id_0.csv", Path.unlink, r"expected query_0_product_id_0\.csv"),
        ("query_1_product_id_1_gt_dev.json", cut(0.5), r"not valid JSON.*cut off"),
        ("query_1_product_id_1_gt_dev.json", content(b'{"x": {}}'), r"none of its 1 queries"),
        ("query_1_product_id_1_gt_dev.json", content(b'{"x": 1}'), r"key 'x': expected an object"),
    ],
)
def test_marqo_gs(tmp_path: Path, file: str, spoil: Spoil, message: str) -> None:
    fails(read_marqo_gs, marqo_archive(tmp_path / "src"), file, spoil, message)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    data, _ = read_marqo_gs(marqo_archive(tmp_path / "src"))
    for path in (tmp_path / "src").glob("*.*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    again, _ = read_marqo_gs(tmp_path / "src")
    assert again.fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        (PARQUET, cut(0.7), r"cannot be read, it may be cut off.*Fetch"),
        (PARQUET, content(b"PAR1"), r"cannot be read"),
        (PARQUET, content(b""), r"cannot be read"),
        (PARQUET, without("score_linear"), r"a column 'score_linear', found 'image'"),
        (PARQUET, twice("query"), r"the column 'query' occurs more than once"),
        (PARQUET, cell("score_linear", 1, float("nan")), r"row 1 .*'score_linear'.*found nan"),
        (PARQUET, cell("score_linear", 0, float("inf")), r"row 0 .*finite number, found inf"),
        (PARQUET, cell("score_linear", 0, 1e300), r"row 0 .*1e\+300 is outside the scale"),
        (PARQUET, cell("score_linear", 1, None), r"row 1 .*found nothing"),
        (PARQUET, cell("product_id", 1, ""), r"row 1 .*'product_id': expected a value"),
        (PARQUET, not_utf8("query", 1), r"row 1 .*'query': not UTF-8"),
        (PARQUET, altered(lambda frame: frame.clear()), r"expected at least one row"),
    ],
)
def test_marqo_gs_parquet(tmp_path: Path, file: str, spoil: Spoil, message: str) -> None:
    fails(read_marqo_gs_parquet, marqo_parquet(tmp_path / "src"), file, spoil, message)


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        (EXAMPLES, cut(0.5), r"cannot be read, it may be cut off.*Fetch"),
        (EXAMPLES, Path.unlink, r"there is no such file"),
        (EXAMPLES, without("esci_label"), r"expected a column 'esci_label', found"),
        (EXAMPLES, twice("query"), r"the column 'query' occurs more than once"),
        (EXAMPLES, cell("esci_label", 3, "X"), r"row 3 .*'X' is not one of the labels E, S, C, I"),
        (EXAMPLES, cell("esci_label", 3, None), r"row 3 .*expected a value, found nothing"),
        (EXAMPLES, cell("query", 5, ""), r"row 5 .*'query': expected a value"),
        (EXAMPLES, cell("query_id", 2, 1), r"row 2 .*'1' stands for another text"),
        (EXAMPLES, cell("product_id", 4, "B99"), r"row 4 .*'es:B99' is not among the products"),
        (EXAMPLES, not_utf8("query", 2), r"row 2 .*not UTF-8"),
        (PRODUCTS, cut(0.5), r"cannot be read"),
        (PRODUCTS, cell("product_id", 4, "B01"), r"row 4 .*'us:B01' occurs more than once"),
        (PRODUCTS, cell("product_id", 4, None), r"row 4 .*expected a value"),
        (SOURCES, content(b"query_id;source\n1;other\n"), r"delimited by semicolons"),
        (SOURCES, content(b"query_id,source\n1,\xff\n"), r"row 2: not UTF-8"),
        (SOURCES, content(b'query_id,source\n1,"x\n'), r"row 2: a quote is opened"),
    ],
)
def test_esci(tmp_path: Path, file: str, spoil: Spoil, message: str) -> None:
    fails(read_esci, esci(tmp_path / "src"), file, spoil, message)


def pairs(folder: Path) -> Path:
    """A saved data set of judged pairs."""
    frame = pl.DataFrame(
        {
            "query": ["red", "red", "tan"],
            "doc_id": ["a", "b", "b"],
            "title": ["Red mug", "Tan mug", "Tan mug"],
            "image": [png("red"), png("tan"), png("tan")],
            "score": [3.0, 1.0, 3.0],
        }
    )
    write_saved_dataset(folder, [frame], "0")
    return folder


def rewritten(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    def spoil(path: Path) -> None:
        frame = change(pl.read_ipc_stream(path))
        frame.write_ipc_stream(path)

    return spoil


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        (ARROW, cut(0.6), r"the stream is cut off"),
        (ARROW, lambda p: cut(1)(p) or p.write_bytes(p.read_bytes()[:-8]), r"end mark is missing"),
        (ARROW, content(b"ARROW1\0\0" + b"\xff" * 4 + b"\0" * 4), r"found an Arrow file"),
        (ARROW, content(b"\1" * 90 + b"\xff" * 4 + b"\0" * 4), r"cannot be read"),
        (ARROW, rewritten(lambda f: f.drop("score")), r"one of the columns score.*--score"),
        (ARROW, rewritten(lambda f: f.drop("query")), r"one of the columns query.*--query"),
        (
            ARROW,
            rewritten(lambda f: f.with_columns(score=pl.Series([3.0, float("nan"), 1.0]))),
            r"row 1 \(counted from 0\), column 'score'.*finite number, found nan",
        ),
        (
            ARROW,
            rewritten(lambda f: f.with_columns(query=pl.Series(["red", "red", ""]))),
            r"row 2 \(counted from 0\), column 'query': expected a value",
        ),
        (
            ARROW,
            rewritten(lambda f: f.with_columns(doc_id=pl.Series(["a", "a", "b"]))),
            r"row 1 .*'a' is judged more than once",
        ),
        ("state.json", content(b'{"_data_files": ['), r"not valid JSON.*save_to_disk"),
        ("state.json", content(b'{"_data_files": []}'), r"it lists no file"),
        ("state.json", replaced("00000-of", "00001-of"), r"'data-00001-of-00001\.arrow', which is"),
        ("state.json", replaced("data-00000", "../data-00000"), r"'\.\./data-00000.* is not there"),
    ],
)
def test_hugging_face(tmp_path: Path, file: str, spoil: Spoil, message: str) -> None:
    spoil(pairs(tmp_path / "src") / file)
    with pytest.raises(DataError, match=message) as caught:
        read_hugging_face(tmp_path / "src")
    assert caught.value.where.startswith(str(tmp_path / "src" / file))


def test_three_tables_of_hugging_face(tmp_path: Path) -> None:
    tables = {
        "queries": pl.DataFrame({"query_id": ["1"], "query": ["red"]}),
        "corpus": pl.DataFrame({"doc_id": ["a"], "title": ["Red mug"]}),
        "qrels": pl.DataFrame({"query_id": ["1"], "doc_id": ["b"], "score": [1.0]}),
    }
    for name, frame in tables.items():
        write_saved_dataset(tmp_path / name, [frame], "0")
    with pytest.raises(DataError, match=r"qrels/.*row 0 .*'b' is not among the documents"):
        read_hugging_face(tmp_path)
    (tmp_path / "dataset.toml").write_text("format = 1\nname = ")
    with pytest.raises(DataError, match=r"dataset\.toml: not valid TOML"):
        read_hugging_face(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"anchor;positive\nx;y\n", r"delimited by semicolons.*as \.csv"),
        ("a.csv", b"anchor\tpositive\nx\ty\n", r"delimited by tabs.*as \.csv or"),
        ("a.csv", b"anchor,positive\nx,caf\xe9\n", r"row 2: not UTF-8: byte 0xe9.*Save"),
        ("a.csv", b"anchor,anchor\nx,y\n", r"row 1: the column 'anchor' occurs more.*Rename"),
        ("a.csv", b"anchor\nx\n", r"expected columns with queries and documents.*--column"),
        ("a.csv", b"anchor,positive\nx\n", r"row 2: expected 2 values.*found 1.*Quote"),
        ("a.csv", b'anchor,positive\n"x,y\n', r"row 2: a quote is opened.*Write a quote"),
        ("a.csv", b"anchor,positive\nx,\n", r"row 2, column 'positive': expected a value.*Fill"),
        ("a.csv", b"\xef\xbb\xbfa,b,score\nx,y,1e400\n", r"row 2, column 'score'.*'1e400'.*Fix"),
        ("a.csv", b"a,b,score\nx,y,1\nx,z,nan\n", r"row 3, column 'score'.*'nan'.*Fix"),
        ("a.csv", b"a,b,label\nx,y,entailment\n", r"row 2, column 'label'.*'entailment'"),
        ("a.jsonl", b'{"a": "x", "b": "y"}\n{"a": "x"\n', r"row 2: not valid JSON"),
        ("a.jsonl", b'{"a": "x", "b": "y"}\n{"a": "x"}\n', r"row 2, column 'b': expected a value"),
        ("a.parquet", b"PAR1 and no more", r"cannot be read, it may be cut off.*Fetch"),
    ],
)
def test_sentence_transformers(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_sentence_transformers(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"a": ["x"], "b": [3]}), r"column 'b': expected texts.*found Int64"),
        (
            pl.DataFrame({"a": ["x", "y"], "b": [["u"], ["v"]], "labels": [[1], [1, 0]]}),
            r"row 1 .*'labels': expected as many labels as documents",
        ),
        (
            pl.DataFrame({"a": ["x"], "b": [["u", "v"]], "labels": [[1.0, float("inf")]]}),
            r"row 0 .*finite number, found inf",
        ),
        (pl.DataFrame({"a": ["x"], "b": [["u"]]}), r"a list of documents and a list of labels"),
        (
            pl.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"], "score": [[0.5]]}),
            r"row 0 .*'score': expected as many labels",
        ),
    ],
)
def test_sentence_transformers_parquet(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_sentence_transformers(tmp_path)


def test_a_message_is_one_sentence_after_another(tmp_path: Path) -> None:
    src = marqo_archive(tmp_path / "src")
    truth = {"red mug, new": {"100": 1}}
    (src / "query_0_product_id_0_gt_test.json").write_text(json.dumps(truth))
    with pytest.raises(DataError) as caught:
        read_marqo_gs(src)
    assert re.fullmatch(
        r".*gt_test\.json: none of its 1 queries, such as 'red mug, new', is in"
        r" query_0_product_id_0\.csv\. Fetch the ground truth that belongs to the file, or remove"
        r" this one\.",
        str(caught.value),
    )


def test_half_of_a_surrogate_pair_in_the_ground_truth(tmp_path: Path) -> None:
    src = marqo_archive(tmp_path / "src")
    path = src / "query_0_product_id_0_gt_dev.json"
    path.write_text('{"red mug": {"0": 1},\n "red \\ud800 mug": {"0": 1}}')
    with pytest.raises(DataError, match=r"gt_dev\.json, row 2: .*surrogate pair in the key.*Fix"):
        read_marqo_gs(src)


@pytest.mark.parametrize("name", [b"title", b"bytes"])
def test_the_name_of_a_column_is_not_utf8(tmp_path: Path, name: bytes) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "train.parquet"
    table = pa.table({"query": ["a"], "title": ["b"], "image": [{"bytes": b"x", "path": "y"}]})
    parquet.write_table(table, path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    with pytest.raises(DataError, match=r"train\.parquet: cannot be read.*Fetch"):
        read_sentence_transformers(path)


def test_absurd_numbers_are_shown_shortened(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"sentence1,sentence2,score\na,b,{'9' * 400}\n")
    with pytest.raises(DataError, match=r"row 2, column 'score': .*'9{59}….*Fix") as error:
        read_sentence_transformers(path)
    assert len(str(error.value).removeprefix(str(tmp_path))) < 200


def test_tables_have_a_remedy_for_every_bad_id(tmp_path: Path) -> None:
    good = {
        "queries.csv": "query_id,query\n1,red\n2,tan\n",
        "documents.csv": "doc_id,title\n1,mug\n",
        "judgments.csv": "query_id,doc_id,score\n1,1,1\n2,1,0\n",
    }
    for file, old, new, message in (
        ("queries.csv", "2,tan", "1,tan", r"queries\.csv, row 3, .*'1' occurs.*own id"),
        ("queries.csv", "2,tan", ",tan", r"queries\.csv, row 3, .*found nothing.*Give the record"),
        ("judgments.csv", "2,1,0", "3,1,0", r"row 3, .*'3' is not among.*Fix the id, or remove"),
        ("judgments.csv", "2,1,0", "1,1,0", r"row 3, .*judged more than once.*Remove one"),
    ):
        for name, text in good.items():
            (tmp_path / name).write_text(text.replace(old, new) if name == file else text)
        with pytest.raises(DataError, match=message):
            read_tables(tmp_path)
