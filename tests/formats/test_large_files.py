"""The fast readers of large files read what the plain ones read, and refuse what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.io import delimited, json_objects
from rankfield.io.delimited import csv_batches, exact_csv_batches
from rankfield.io.json_objects import object_entries
from rankfield.io.table import stack
from rankfield.io.tables import read_files

PIECES = ["a", "b", '"', '""', ",", "\n", "\r\n", " ", "é", ";", '"x"', '"y\nz"', ""]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def outcome(path: Path, fast: bool) -> Any:
    """Return the rows, or the error's text."""
    try:
        read = csv_batches if fast else exact_csv_batches
        frames = list(read(path))
    except DataError as error:
        return error.where, error.problem
    frame = pl.concat(frames) if frames else pl.DataFrame()
    return frame.columns, frame.rows()


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30), block=st.sampled_from([64, 1 << 20]))
@settings(max_examples=400, deadline=None)
def test_any_csv_is_read_as_the_csv_module_reads_it(
    pieces: list[str], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(("c,d\n" + "".join(pieces)).encode())
    slow = outcome(path, fast=False)
    before = delimited._BLOCK
    try:
        delimited._BLOCK = block  # parts of a file meet inside it
        fast = outcome(path, fast=True)
    finally:
        delimited._BLOCK = before
    assert fast == slow


def test_some_columns_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n\n3,\n")
    pl.DataFrame({"y": [4], "z": [0.5]}).write_parquet(tmp_path / "b.parquet")
    table = read_files([tmp_path / "a.csv", tmp_path / "b.parquet"], ["y", "z"])
    assert table.frame.rows() == [("2", None), (None, None), ("4", 0.5)]
    assert table.where(1, "y") == f"{tmp_path / 'a.csv'}, row 4, column 'y'"
    assert table.where(2) == f"{tmp_path / 'b.parquet'}, row 0 (counted from 0)"
    rest = table.filter(pl.col("y").is_not_null())
    assert rest.where(1).startswith(str(tmp_path / "b.parquet"))
    assert rest.filter(pl.col("z").is_null()).where(0, "y").endswith("a.csv, row 2, column 'y'")
    pl.DataFrame({"y": [[4]]}).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet: a column has another type than in a\.csv"):
        stack([read_files([tmp_path / name]) for name in ("a.csv", "c.parquet")])


@given(value=st.dictionaries(st.text(max_size=4), JSON, max_size=5), data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_json_object_is_read_in_blocks_of_any_size(
    value: dict[str, Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    indent = data.draw(st.sampled_from([None, 1]))
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=indent)
    path.write_bytes(text.encode())
    before = json_objects._BLOCK
    try:
        json_objects._BLOCK = data.draw(st.sampled_from([1, 2, 3, 7, 20, 1 << 20]))
        assert list(object_entries(path)) == list(value.items())
        path.write_bytes(text.encode()[: data.draw(st.integers(0, len(text.encode()) - 1))])
        with pytest.raises(DataError, match=r"any\.json, row \d+: not "):
            list(object_entries(path))
    finally:
        json_objects._BLOCK = before


def test_an_entry_that_never_ends_is_not_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_objects, "_BLOCK", 10)
    monkeypatch.setattr(json_objects, "_LONGEST", 50)
    (tmp_path / "x.json").write_text('{"a": 1,\n"b": nope, ' + '"c": 1, ' * 1000 + "}")
    with pytest.raises(DataError, match=r"x\.json, row 2: not valid JSON \(Expecting value\)"):
        list(object_entries(tmp_path / "x.json"))
