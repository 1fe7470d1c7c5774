"""Fast JSON Lines: the same as `read_table`, whatever a line holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.io.json_lines import text_frame_of_json
from rankfield.io.table import Table
from rankfield.io.tables import read_table, read_text_records

KEYS = ("_id", "title", "text")

values = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.integers(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)
records = st.fixed_dictionaries({"_id": values}, optional={"title": values, "text": values})
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def outcome(read: Callable[[], Table]) -> Table | str:
    try:
        return read()
    except DataError as error:
        return str(error)


def compare(path: Path) -> None:
    expected = outcome(lambda: read_table(path, marks=True))
    found = outcome(lambda: read_text_records(path, KEYS))
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected
        return
    kept = expected.frame.drop("metadata", strict=False)
    assert found.frame.select(sorted(found.frame.columns)).equals(kept.select(sorted(kept.columns)))
    rows = range(found.frame.height)
    assert [found.where(row) for row in rows] == [expected.where(row) for row in rows]


@given(st.lists(records, min_size=1, max_size=5), st.booleans())
def test_any_values(tmp_path_factory: Any, rows: list[dict[str, Any]], ascii_only: bool) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    path.write_text("\n".join(lines), "utf-8", errors="surrogatepass", newline="")
    compare(path)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), st.booleans())
def test_texts(tmp_path_factory: Any, rows: list[tuple[str, str]], ascii_only: bool) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines = [
        json.dumps(
            {"_id": f"d{i}", "title": title, "text": text, "metadata": {}}, ensure_ascii=ascii_only
        )
        for i, (title, text) in enumerate(rows)
    ]
    path.write_text("\n\n".join(lines) + "\n", "utf-8", newline="")
    compare(path)


def test_the_fast_way_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "007", "text": "\\ud83d\\ude00 x"}\n\n{"_id": "2", "text": ""}\n')
    frame = text_frame_of_json(path, KEYS)
    assert frame is not None
    assert frame.rows() == [("007", "\U0001f600 x"), ("2", None)]
    assert read_text_records(path, KEYS).where(1) == f"{path}, row 3"
    compare(path)


@pytest.mark.parametrize(
    "line",
    [
        '{"_id": 1.0, "text": "x"}',
        '{"_id": "1", "text": "\\ud800"}',
        '{"_id": "1", "text": "x", "url": "y"}',
        '{"_id": "1", "text": {"a": 1}}',
        '{"_id": "1"',
        "[1]",
        '{"_id": "1"} x',
        '{"_id": "1", "metadata": {"a": 1}}',
    ],
)
def test_everything_else_goes_the_exact_way(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "0", "text": "x"}\n' + line + "\n")
    assert text_frame_of_json(path, KEYS) is None
    if "metadata" not in line:
        compare(path)
