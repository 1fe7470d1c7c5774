from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.collect.categories import leaves, queries_of, read_categories
from rankfield.collect.generated import queries_in
from rankfield.collect.queries import _distinct, read_queries
from rankfield.errors import DataError


def test_a_tree_of_lines_and_one_of_json_are_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "tree.txt"
    lines.write_text("# Google's\n\n1 - Kitchen >  Mugs\nKitchen > Pans > Woks\nGarden\n")
    tree = tmp_path / "tree.json"
    tree.write_text('{"Kitchen": {"Mugs": {}, "Pans": ["Woks"]}, "Garden": null}')
    mixed = tmp_path / "mixed.json"
    mixed.write_text('[{"Kitchen": ["Mugs", {"Pans": "Woks"}]}, "Garden"]')
    found = read_categories(lines)
    assert found == read_categories(tree) == read_categories(mixed)
    assert leaves(found) == [("Kitchen", "Mugs"), ("Kitchen", "Pans", "Woks"), ("Garden",)]


def test_templates() -> None:
    templates = ["{leaf}", "{leaf} for {parent}", "{top}: {path}"]
    assert list(queries_of(("Kitchen", "{top} Mugs"), templates)) == [
        "{top} Mugs",
        "{top} Mugs for Kitchen",
        "Kitchen: Kitchen {top} Mugs",
    ]
    assert list(queries_of(("Garden",), templates)) == ["Garden", "Garden: Garden"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.txt", "# nothing\n", "expected at least one category"),
        ("t.txt", "Kitchen\nKitchen > > Mugs\n", "row 2: a category without a name"),
        ("t.json", '{"Kitchen": ', "not valid JSON"),
        ("t.json", '{"Kitchen": [3]}', "below Kitchen: expected the name of a category, found '3'"),
        ("t.json", '{"Kitchen": [["Mugs"]]}', "below Kitchen: expected the name"),
        ("t.json", "[]", "expected at least one category"),
    ],
)
def test_a_bad_tree_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as raised:
        read_categories(tmp_path / name)
    assert message in str(raised.value)
    assert name in raised.value.where
    with pytest.raises(DataError, match="no such file"):
        read_categories(tmp_path / "none")


def test_queries_of_a_file(tmp_path: Path) -> None:
    text = tmp_path / "q.txt"
    text.write_bytes("\ufeffred mug\n\n  großer Topf \n".encode())
    assert read_queries(text)["query"].to_list() == ["red mug", "großer Topf"]
    table = tmp_path / "q.csv"
    table.write_text('query_id,q,more\n007,"red, mug",x\n8,pan,y\n')
    assert read_queries(table, "q").rows() == [("red, mug", "007"), ("pan", "8")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("q.txt", b"\n \n", "expected at least one query"),
        ("q.txt", b"red mug\n\xff\xfe\n", "row 2: not UTF-8"),
        ("q.csv", b"text\nred mug\n", "column 'query' is missing; found text"),
        ("q.csv", b"query,x\nred mug,1\n ,2\n", "row 3, column 'query': expected a text"),
        ("q.csv", b"query_id,query\na,mug\n,pan\n", "row 3, column 'query_id': expected a text"),
        ("q.csv", b"query_id,query\na,mug\na,pan\n", "row 3, column 'query_id': the id 'a' occurs"),
        ("q.jsonl", b'{"query": "mug"}\n{"query"\n', "row 2: not valid JSON"),
    ],
)
def test_a_bad_file_of_queries_is_named(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as raised:
        read_queries(tmp_path / name)
    assert message in str(raised.value)
    assert name in raised.value.where


def test_repeated_queries_count_once() -> None:
    said: list[str] = []
    frame = pl.DataFrame({"query": ["Red  mugs", "mug, red", "+", "++", "blue mug"]})
    found = _distinct(frame, 4, said.append)
    assert found["query"].to_list() == ["Red mugs", "+", "++", "blue mug"]
    assert found["query_id"].n_unique() == 4
    assert said == ["1 queries repeat another and are left out"]
    again = _distinct(frame.reverse(), None, said.append)
    ids = dict(zip(again["query"], again["query_id"], strict=True))
    assert ids["blue mug"] == found["query_id"][3]  # an id does not depend on the order


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ('["red mug", "pan"]', ["red mug", "pan"]),
        ('Here:\n```json\n[\n "red mug"\n]\n```\nEnjoy [1]!', ["red mug"]),
        ('See [1]. {"queries": [{"query": "red mug"}, {"text": "no"}]}', ["red mug"]),
        ('["  red   mug ", "", "a\\nb", 3, null]', ["red mug"]),
        (f'["{"x" * 201}", "pan"]', ["pan"]),
        ("red mug, pan", []),
        ('["red mug"', []),
        ("[" * 2000, []),
        ("", []),
    ],
)
def test_queries_in_an_answer(text: str, queries: list[str]) -> None:
    assert queries_in(text) == queries


@given(st.text())
def test_any_answer_gives_usable_queries_or_none(text: str) -> None:
    for query in queries_in(text) + queries_in(f'["{text}"]'):
        assert query.strip() == query
        assert 0 < len(query) <= 200
