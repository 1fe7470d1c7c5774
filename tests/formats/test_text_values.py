"""Values of richer files become text by one rule, and lists and objects never silently."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from every_layout import SOURCES, edit_rows
from rankfield.errors import DataError
from rankfield.formats import read_tables
from rankfield.formats.sentence_transformers.reading import read_sentence_transformers
from rankfield.io.tables import read_table
from rankfield.io.text_values import MARK, text_values
from rankfield.validate import audit


def where(row: int, column: str) -> str:
    return f"row {row}, column {column!r}"


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["a", "", None], pl.String, ["a", "", None]),
        (["red", "tan", None], pl.Categorical, ["red", "tan", None]),
        (["red", "tan", None], pl.Enum(["tan", "red"]), ["red", "tan", None]),
        ([1, 2**60, None], pl.Int64, ["1", str(2**60), None]),
        ([1.0, 0.5, float("nan"), None], pl.Float64, ["1", "0.5", None, None]),
        ([True, False, None], pl.Boolean, ["true", "false", None]),
        ([decimal.Decimal("5.50"), None], pl.Decimal(6, 2), ["5.50", None]),
        ([datetime.date(2026, 1, 31)], pl.Date, ["2026-01-31"]),
        ([b"caf\xc3\xa9", None], pl.Binary, ["café", None]),
        ([None, None], pl.Null, [None, None]),
    ],
)
def test_what_becomes_text(values: list[Any], dtype: Any, expected: list[str | None]) -> None:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=dtype, strict=False)})
    assert text_values(frame, "a", where).to_list() == expected


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([None, ["a", "b"]], r"a list: \['a', 'b'\]"),
        ([None, {"en": "mug"}], r"an object: \{'en': 'mug'\}"),
        (["mug", f'{MARK}["a", "b"]'], r'a list: \["a", "b"\]'),
    ],
)
def test_what_does_not(values: list[Any], found: str) -> None:
    with pytest.raises(DataError, match=rf"row 1, column 'a': expected a text, found {found}"):
        text_values(pl.DataFrame({"a": values}), "a", where)


SITES = [
    (name, table)
    for name, source in SOURCES.items()
    for table, path in source.tables.items()
    if path.endswith(("jsonl", "parquet")) and table != "judgments"
]


@pytest.mark.parametrize("value", [["part one", "part two"], {"en": "part one"}])
@pytest.mark.parametrize(("name", "table"), SITES)
def test_a_nested_value_in_a_text_field_is_refused_in_every_layout(
    tmp_path: Path, name: str, table: str, value: Any
) -> None:
    source = SOURCES[name]
    plain, _ = source.read(tmp_path / "plain", source.write(tmp_path / "plain"))
    field = next(f.name for f in plain.fields(table) if f.modality == "text")
    src = source.write(tmp_path / "nested")
    path = tmp_path / "nested" / source.tables[table]

    def nest(row: dict[str, Any]) -> dict[str, Any]:
        inner = row.get("_source", row)
        key = field if field in inner else "text"
        inner[key] = value
        return row

    edit_rows(path, nest)
    chosen = {"queries": "query_fields", "documents": "document_fields"}[table]
    options = {} if source.layout == "esci" else {chosen: [f"{field}:text"]}
    with pytest.raises(DataError, match=r"text.*found (a list|an object|List|Struct)"):
        source.read(tmp_path / "nested", src, **options)


def test_one_list_among_texts_is_refused_with_its_row(tmp_path: Path) -> None:
    source = SOURCES["beir"]
    src = source.write(tmp_path)
    path = src / "corpus.jsonl"
    lines = path.read_text("utf-8").splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {"text": ["part one", "part two"]})
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match=r"corpus\.jsonl, row 2, column 'text': .*found a list"):
        source.read(tmp_path, src)


def test_texts_that_look_like_lists_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    rows = [{"doc_id": "d1", "title": "[2]"}, {"doc_id": "d2", "title": '["a"]'}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame({"query_id": ["q"], "query": ["mug"]}).write_csv(tmp_path / "queries.csv")
    pl.DataFrame({"query_id": ["q"], "doc_id": ["d1"], "score": [1]}).write_csv(
        tmp_path / "judgments.csv"
    )
    data, _ = read_tables(tmp_path, document_fields=["title:text"])
    assert data.documents["title"].to_list() == ["[2]", '["a"]']


def test_numbers_within_nested_values_stay_numbers_and_nan_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"id": 007.5e0, "size": {"w": 3, "h": 0.5}, "title": NaN}\n'.replace("007", "7")
    )
    frame = read_table(path).frame
    assert frame.rows() == [("7.5e0", '{"w": 3, "h": 0.5}')] or frame.to_dicts() == [
        {"id": "7.5e0", "size": '{"w": 3, "h": 0.5}', "title": None}
    ]
    assert frame["title"].to_list() == [None]


def test_categories_are_texts(tmp_path: Path) -> None:
    titles = pl.Series(["Red mug", "Oak desk", "Red mug"], dtype=pl.Categorical)
    pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "title": titles}).write_parquet(
        tmp_path / "documents.parquet"
    )
    pl.DataFrame({"query_id": ["q"], "query": ["mug"]}).write_parquet(tmp_path / "queries.parquet")
    pl.DataFrame({"query_id": ["q"], "doc_id": ["d1"], "score": [1.0]}).write_parquet(
        tmp_path / "judgments.parquet"
    )
    data, _ = read_tables(tmp_path)
    assert [f.name for f in data.document_fields] == ["title"]
    assert data.documents["title"].to_list() == ["Red mug", "Oak desk", "Red mug"]
    assert not [p for p in audit(data) if p.severity == "error"]


LISTS: list[dict[str, Any]] = [
    {"query": "a b", "pos": ["c d", "e f"], "neg": ["g h"]},
    {"query": "x", "pos": ["c d"], "neg": ["q"]},
]
LABELLED: list[dict[str, Any]] = [
    {"query": "a b", "docs": ["c d", "g h"], "labels": [1, 0]},
    {"query": "x y", "docs": ["e f", "k l"], "labels": [0.5, 0]},
]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_of_positives_and_negatives(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"train.{ending}"
    write = pl.DataFrame(LISTS).write_parquet if ending == "parquet" else None
    if write:
        write(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in LISTS))
    data, _ = read_sentence_transformers(path)
    texts = dict(data.documents.rows())
    judged = [(texts[d], s) for d, s in data.judgments.select("doc_id", "score").rows()]
    assert judged == [("c d", 1.0), ("e f", 1.0), ("g h", 0.0), ("c d", 1.0), ("q", 0.0)]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_labelled_lists(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"train.{ending}"
    if ending == "parquet":
        pl.DataFrame(LABELLED, strict=False).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in LABELLED))
    data, _ = read_sentence_transformers(path)
    assert data.documents["document"].to_list() == ["c d", "g h", "e f", "k l"]
    assert data.judgments["score"].to_list() == [1.0, 0.0, 0.5, 0.0]


def test_a_row_without_a_positive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [*LISTS, {"query": "y", "pos": [], "neg": ["q"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        DataError, match=r"train\.jsonl, row 3, column 'pos': expected at least one"
    ):
        read_sentence_transformers(path)
