from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.errors import DataError, OutputError
from rankfield.parsing import MAX_DEPTH
from rankfield.web import Journal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(
    entries=st.lists(st.tuples(st.sampled_from("abcd"), VALUES), min_size=1, max_size=6),
    data=st.data(),
)
def test_cut_anywhere_it_keeps_all_whole_lines(
    entries: list[tuple[str, object]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    with Journal(path) as journal:
        for key, value in entries:
            journal.put(key, value)
            assert journal.get(key) == value
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    expected = dict(entries[: whole[:cut].count(b"\n")])
    with Journal(path) as journal:
        assert {key: journal.get(key) for key in "abcd" if key in journal} == expected
        journal.put("new", 1)
    with Journal(path) as journal:
        assert journal.get("new") == 1
        assert len(journal) == len(expected) + 1
        assert journal.get("nothing") is None


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    good = json.dumps({"key": "a", "value": 1})
    path.write_text(f"{good}\nspoilt\n{good}\n")
    with pytest.raises(DataError, match="row 2: the line is damaged") as raised:
        Journal(path)
    assert "Remove that line" in raised.value.remedy


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl"), pytest.raises(OutputError, match="another run"):
        Journal(tmp_path / "j.jsonl")
    Journal(tmp_path / "j.jsonl").close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": "b", "value": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"key": "b", "value": ' + b"9" * 5000 + b"}",
        b'{"key": "b"}',
        b'{"key": [1]}',
        b'{"key": 7, "value": 1}',
    ],
)
def test_an_absurd_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j.jsonl"
    good = b'{"key": "a", "value": 1}\n'
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(DataError, match="row 2: the line is damaged"):
        Journal(path)


def test_what_is_kept_comes_back_at_the_deepest_and_without_a_number(tmp_path: Path) -> None:
    deepest: object = float("inf")
    for _ in range(MAX_DEPTH):
        deepest = [deepest]
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.put("a", deepest)
    with Journal(tmp_path / "j.jsonl") as journal:
        assert journal.get("a") == deepest


def test_a_value_of_another_kind_is_named(tmp_path: Path) -> None:
    def of_text(value: str) -> int:
        return int(value)

    with Journal(tmp_path / "j.jsonl") as journal:
        journal.put("a", "5")
        journal.put("b", [1])
        assert journal.read("a", of_text) == 5
        assert journal.read("c", of_text) is None
        with pytest.raises(DataError, match="row 2: the value in the line is malformed") as raised:
            journal.read("b", of_text)
    assert "Remove that line" in raised.value.remedy
