"""One table: what is read, to the letter, and where broken files are broken."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.io.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_is_kept_to_the_letter(tmp_path: Path) -> None:
    text = '\ufeffid, name ,note\r\n007,"a ""b"", c",\r\n\r\n1e3,"two\r\nlines",x\r\n 9 ,é,NaN\r\n'
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.frame.columns == ["id", "name", "note"]
    assert table.frame.rows() == [
        ("007", 'a "b", c', None),
        ("1e3", "two\r\nlines", "x"),
        (" 9 ", "é", "NaN"),
    ]
    assert [table.where(row) for row in range(3)] == [f"{table.path}, row {n}" for n in (2, 4, 6)]
    assert table.where(1, "name") == f"{tmp_path / 't.csv'}, row 4, column 'name'"


def test_tsv(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.TSV", 'id\tsize\na\t5" screen\nb\t6, or 7\n'))
    assert table.frame.rows() == [("a", '5" screen'), ("b", "6, or 7")]


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    text = (
        '\ufeff{"id": 7, "score": 1.50}\n\n{"id": "007", "tags": ["a", {"b": true}], "n": null}\n'
    )
    table = read_table(write(tmp_path, name, text))
    assert table.frame.to_dicts() == [
        {"id": "7", "score": "1.50", "tags": None, "n": None},
        {"id": "007", "score": None, "tags": '["a", {"b": true}]', "n": None},
    ]
    assert table.where(1).endswith("row 3")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2], "data": [b"x", None], "score": [0.5, 1.0]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.frame.equals(frame)
    assert table.where(1, "id").endswith("row 1 (counted from 0), column 'id'")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", r"t\.csv: the file is empty"),
        ("t.csv", "a,b\n", r"t\.csv: expected at least one row"),
        ("t.jsonl", "\n\n", r"t\.jsonl: expected at least one row"),
        ("t.csv", "a,b,a\n1,2,3\n", r"row 1: the column 'a' occurs more than once"),
        ("t.csv", "a;b\n1;2\n", r"delimited by commas, found one column named 'a;b'.*semicolons"),
        ("t.csv", "a\tb\n1\t2\n", r"delimited by tabs.*as \.csv or with tabs as \.tsv"),
        ("t.tsv", "a,b\n1,2\n", r"delimited by tabs, found one column named 'a,b'.*by commas"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", r"row 3: expected 2 values as in the header, found 3"),
        ("t.csv", 'a,b\n"x\ny",2\n1\n', r"row 4: expected 2 values as in the header, found 1"),
        ("t.csv", 'a,b\n1,2\n"3,4\n5,6\n', r"row 3: a quote is opened and never closed"),
        ("t.csv", 'a,b\n1,"2"x\n', r"row 2: malformed"),
        ("t.csv", b"a,b\n1,2\n3,caf\xe9\n", r"row 3: not UTF-8: byte 0xe9 at position 6.*as UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), r"row 1: not UTF-8: byte 0xff at position 1"),
        ("t.jsonl", '{"a": 1}\n{"a": 1,}\n', r"row 2: not valid JSON"),
        ("t.jsonl", '{"a": 1}\n[1, 2]\n', r"row 2: expected a JSON object, found '\[1, 2\]'"),
        ("t.jsonl", '{"a": 1}\n{"a": "x\n', r"row 2: not valid JSON"),
        ("t.jsonl", b'{"a": "\xff"}\n', r"row 1: not UTF-8"),
        ("t.jsonl", '{"a": 1}\n{"a": "\\ud800"}\n', r"row 2: not valid JSON .*surrogate"),
        ("t.jsonl", "[" * 100_000 + "\n", r"row 1: not valid JSON"),
        ("t.parquet", b"PAR1 and no more", r"t\.parquet: cannot be read, it may be cut off"),
        ("t.parquet", b"", r"t\.parquet: cannot be read"),
        ("t.xlsx", b"PK", r"t\.xlsx: expected a file ending in \.csv"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, name, content))


def test_cut_off_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"a": list(range(10_000))}).write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(DataError, match="cut off"):
        read_table(write(tmp_path, "t.parquet", whole[: len(whole) // 2]))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "t.csv")


@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=5), st.integers()), min_size=1
    )
)
@settings(max_examples=50, deadline=None)
def test_what_polars_writes_is_read_back(
    rows: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    texts = pl.Series([text for text, _ in rows], dtype=pl.String)
    numbers = pl.Series([str(number) for _, number in rows])
    pl.DataFrame({"text": texts, "number": numbers}).write_csv(path, quote_style="always")
    expected = [(text or None, str(number)) for text, number in rows]
    assert read_table(path).frame.rows() == expected
