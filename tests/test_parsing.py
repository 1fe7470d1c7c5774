"""JSON and TOML that are absurd are refused like any that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.errors import DataError, InputError
from rankfield.files import read_json
from rankfield.parsing import parse_json, parse_toml
from rankfield.schema import RankingDataset
from rankfield.settings import read_toml


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested deeper"),
        ("[" * 101 + "]" * 101, "nested deeper"),
        ('{"a":' * 200 + "1" + "}" * 200, "nested deeper"),
        ("9" * 5000, "4300 digits"),
        ("[1e999]", "too large"),
        ("[-1e999]", "too large"),
        ("[NaN]", "no number"),
        ("[Infinity]", "no number"),
        ("{", "Expecting"),
    ],
)
def test_json(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json: not valid JSON \("):
        read_json(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = " + "[" * 100_000, "nested deeper"),
        ("a = " + "[" * 101 + "]" * 101, "nested deeper"),
        ("a = " + "{a=" * 100_000, "nested deeper"),
        ("a = " + "9" * 5000, "4300 digits"),
        (".".join(["a"] * 50_000) + " = 1", "dots in the key of line 1"),
        ("[" + ".".join(["a"] * 50_000) + "]", "dots in the key of line 1"),
        ("a", "Expected"),
    ],
)
def test_toml(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_toml(text)
    path = tmp_path / "dataset.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"dataset\.toml: not valid TOML \("):
        read_toml(path)
    with pytest.raises(DataError, match=r"dataset\.toml: not valid TOML \("):
        RankingDataset.load(tmp_path)


def test_what_is_deep_enough_for_anybody() -> None:
    assert parse_json("[" * 99 + "1e308" + "]" * 99)
    assert parse_toml(".".join(["a"] * 90) + " = 1\nb = '" + "." * 500 + "'")["b"] == "." * 500
