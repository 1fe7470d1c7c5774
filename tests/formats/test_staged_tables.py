"""A staged table holds what the table in memory holds, and names the same places."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.io.table import Table
from rankfield.io.tables import read_table, stage_table

cells = st.one_of(
    st.sampled_from(["", '"', '""', '"a"', "a,b", '"a,b"', '"two\nlines"', 'a"b', '"a""b"', " x "]),
    st.text('ab,"\n\r \té', max_size=6),
)


def stage(path: Path) -> Table:
    return stage_table(path, Path(tempfile.mkdtemp(dir=path.parent)))


def outcome(path: Path, staged: bool) -> object:
    """What a file is: its rows and where they stand, or why it cannot be read."""
    try:
        table = stage(path) if staged else read_table(path, marks=True)
    except DataError as error:
        return str(error)
    frame = table.frame
    return frame.columns, frame.rows(), [table.where(row) for row in range(frame.height)]


@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_csv_to_the_letter_and_the_line(tmp_path: Path, rows: list[list[str]], end: str) -> None:
    path = tmp_path / "t.csv"
    text = "".join(",".join(row) + end for row in [["id", "title"], *rows])
    path.write_bytes(text.encode())
    assert outcome(path, True) == outcome(path, False)


values = st.one_of(st.none(), st.integers(), st.text(max_size=4), st.lists(st.text(max_size=3)))


@given(
    records=st.lists(
        st.dictionaries(st.sampled_from(["id", "title", "other"]), values), max_size=8
    ),
    blank=st.booleans(),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_json_lines(tmp_path: Path, records: list[dict[str, object]], blank: bool) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(r) + ("\n\n" if blank else "\n") for r in records))
    assert outcome(path, True) == outcome(path, False)


def test_parquet_stays_where_it_is(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "photo": [b"1", None], "n": [[1], [2, 3]]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = stage(tmp_path / "t.parquet")
    assert not list(table.path.parent.glob("*/*.parquet"))
    assert table.lazy().collect().equals(frame)
    assert table.column("photo").to_list() == [b"1"]
    renamed = table.rename({"id": "doc_id"}).rename({"doc_id": "key", "n": "id"})
    assert renamed.columns == ["key", "photo", "id"]
    assert renamed.column("key").to_list() == ["a", "b"]
    assert renamed.where(1, "key").endswith("row 1 (counted from 0), column 'key'")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        stage(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_text("id,title\n")
    with pytest.raises(DataError, match="expected at least one row"):
        stage(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read, it may be cut off"):
        stage(tmp_path / "t.parquet")
